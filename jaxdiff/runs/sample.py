"""Sampling: from parameters to images or rows, and from a workdir to files."""

import csv
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from tqdm import tqdm

from jaxdiff import build
from jaxdiff import keys as keying
from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.diffusion import editing, guidance, sampling
from jaxdiff.diffusion.denoisers import Denoise, clip
from jaxdiff.plots import conditionals, pictures, tables
from jaxdiff.runs import fixed as fixing
from jaxdiff.runs.trained import Trained, load, load_classifier
from jaxdiff.tasks.task import Task
from jaxdiff.train import parallel


class Sampler(NamedTuple):
    """draw:   (params, seed, index i64[n], labels i32[n] or None, values f32[n, *shape]
            or None) -> f32[n, *shape], both in model units; image i depends on (seed,
            index[i], labels[i], values[i]) alone. values: where some are known.
    calls:  network calls one image costs
    wrap:   denoiser -> denoiser, the guidance and clipping of the config
    """

    draw: Callable[..., np.ndarray]
    calls: int
    wrap: Callable[[Denoise], Denoise]


def make_sampler(
    config: ConfigDict, source: Source, task: Task, mask: np.ndarray | None = None
) -> Sampler:
    """The sampler of config.sampler.

    mask: bool[*shape], the values of x0 that are known and `draw` is given; or None.

    Errors: ValueError for what does not fit.
    """
    s = config.sampler
    require(
        task.kind == "denoiser",
        f"task={config.task!r} trains no denoiser, so that there is nothing to sample "
        "from; launch.plot draws what it can",
    )
    require(
        s.guidance == 1 or task.null is not None,
        f"sampler.guidance={s.guidance} needs a model trained with labels and "
        "diffusion.label_dropout > 0; set sampler.guidance=1.0",
    )
    require(s.batch_size >= 1, f"sampler.batch_size must be >= 1, got {s.batch_size}")
    schedule, noise = build.make_schedule(config), build.make_objective(config).noise
    require(
        s.known_steps >= 0, f"sampler.known_steps must be >= 0, got {s.known_steps}"
    )
    known = build.make_edit(config)  # also where it is not used: to be checked
    solver, grid = build.make_solver(config), build.make_grid(config)
    repeated = editing.resample(solver, schedule, s.resample)
    edit = None
    if mask is not None:
        edit = known
        grid = build.make_grid(config, s.known_steps)
        solver = repeated if s.resample > 1 else solver
    devices = jax.local_devices()

    judge = load_classifier(config, source) if s.classifier else None

    def wrap(denoise: Denoise) -> Denoise:
        # at scales 0 and 1 one of the two network calls would count for nothing
        if s.guidance == 0:
            denoise = guidance.unlabelled(denoise, task.null)
        elif s.guidance != 1:
            denoise = guidance.cfg(denoise, task.null, s.guidance)
        if judge:
            scale, form = s.classifier_scale, s.classifier_form
            denoise = guidance.classifier(denoise, judge.logits, schedule, scale, form)
        return clip(denoise, *source.bounds) if s.clip and source.is_image else denoise

    run = _pmapped(source.shape, tuple(devices))

    def draw(params, seed, index, labels, values=None):
        key, ts = jax.random.key(seed), jnp.asarray(grid, jnp.float32)
        denoise, parts = wrap(task.model(params)), []
        size = min(s.batch_size, len(index))
        chunk = -(-size // len(devices)) * len(devices)
        bar = tqdm(total=len(index), desc="sampling", unit="", disable=None)
        for at in range(0, len(index), chunk):
            # the last chunk repeats its last image: one shape, one compilation
            rows = np.minimum(np.arange(at, at + chunk), len(index) - 1)
            seeds = keying.split_by(key, jnp.asarray(index[rows]))
            some = None if labels is None else jnp.asarray(labels[rows])
            given = None if values is None else jnp.asarray(values[rows])
            one, some, given = parallel.shard((seeds, some, given), len(devices))
            x = run(
                *(one, denoise, solver, ts, some),
                *(schedule, noise, edit, mask, given),
            )
            parts.append(np.asarray(parallel.unshard(x))[: len(index) - at])
            bar.update(len(parts[-1]))
        bar.close()
        return np.concatenate(parts)

    per_step = sampling.count_calls(solver, source.shape)
    return Sampler(draw, per_step * (len(grid) - 1), wrap)


@lru_cache
def _pmapped(shape, devices):
    """One function for every sampler of a shape: another guidance compiles nothing."""

    def one(seeds, denoise, solver, ts, labels, schedule, noise, edit, mask, values):
        if edit is not None:  # the last word: guided or clipped, known is known
            denoise = edit(denoise, schedule, values, mask)
        x_T = sampling.init_noise(seeds, shape, schedule=schedule, noise=noise, t=ts[0])
        return sampling.sample(seeds, denoise, solver, ts, x_T, labels)

    split = (True, False, False, False, True, False, False, False, False, True)
    return parallel.pmap_map(one, devices, split)


def num_asked(config: ConfigDict, source: Source) -> int:
    """Classes that samples can be asked of: the model's, or its classifier's."""
    told = build.num_labels(config, source)
    return source.num_classes if config.sampler.classifier else told


def even_labels(num: int, num_classes: int) -> np.ndarray | None:
    """i32[num], as many of each class as can be, in order; None without classes."""
    if not num_classes:
        return None
    return (np.arange(num) * num_classes // num).astype(np.int32)


class Request(NamedTuple):
    """What launch.sample was asked for, checked: see `prepare`."""

    trained: Trained
    sampler: Sampler
    labels: np.ndarray | None
    num: int
    seed: int
    out: Path
    png: bool
    fixed: fixing.Fixed | None = None


def prepare(
    workdir: Path,
    config: ConfigDict,
    *,
    out: Path,
    num: int,
    seed: int,
    label: int | None,
    png: bool,
    force: bool,
    fix: Sequence[str] = (),
) -> Request:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(num >= 1, f"--num must be at least 1, got {num}")
    require(
        force or not (out.exists() and any(out.iterdir())),
        f"--out {out} is not empty; choose another folder, or --force to overwrite",
    )
    trained = load(workdir, config)
    fixed = fixing.parse(trained.source, fix) if fix else None
    mask = fixed.mask if fixed else None
    sampler = make_sampler(config, trained.source, trained.task, mask)
    source, classes = trained.source, num_asked(config, trained.source)
    labels = even_labels(num, classes)
    if label is not None:
        require(classes > 0, f"--label {label}: this model was trained without labels")
        names = ", ".join(f"{i} {n}" for i, n in enumerate(source.class_names))
        require(
            0 <= label < classes,
            f"--label must be from 0 to {classes - 1}, got {label}; classes: {names}",
        )
        labels = np.full(num, label, np.int32)
    require(not png or source.is_image, "--png is for images; this model makes tables")
    return Request(trained, sampler, labels, num, seed, out, png, fixed)


def run(request: Request) -> np.ndarray:
    """Draw, and write samples.npz, grid.png (for tables samples.csv, pairs.png).

    With columns fixed also fixed.png, and what was found is printed.
    """
    trained, sampler, labels, num, seed, out, png, fixed = request
    source = trained.source
    rows = np.repeat(fixed.values, num, axis=0) if fixed else None
    x = sampler.draw(trained.params, seed, np.arange(num), labels, rows)
    print(
        f"{num} samples from step {trained.step}, "
        f"{sampler.calls} network calls each, in {out}"
    )
    out.mkdir(parents=True, exist_ok=True)
    values: Any = source.decode(x)
    if fixed:
        values = fixing.exact(source, fixed, values)
        show_fixed(out, source, fixed, values)
    if source.is_image:
        write_images(out, source, values, labels, png)
        saved = {"values": values}
    else:
        write_table(out, source, values)
        saved = dict(values)
    meta: dict[str, Any] = {"seed": np.int64(seed), "seeds": np.arange(num)}
    if labels is not None:
        meta["labels"] = labels
    np.savez_compressed(out / "samples.npz", **saved, **meta)
    return x


def show_fixed(out, source, fixed, values):
    real = fixing.matching(source, fixed)
    print("\n".join(fixing.describe(fixed, values, real)))
    free = {k: v for k, v in values.items() if k not in fixed.given}
    conditionals.save_given(out / "fixed.png", fixed.title, free, real)


def write_images(out, source, values, labels, png):
    pixels = pictures.to_uint8(values, source.peak)
    classes = source.class_names if labels is not None else ()
    pictures.save_grid(
        out / "grid.png", pixels[:400], columns=grid_columns(labels, len(pixels))
    )
    if png:
        for i, image in enumerate(pixels):
            name = f"{i:06d}" if labels is None else f"{i:06d}_{classes[labels[i]]}"
            Image.fromarray(pictures.squeeze(image)).save(out / f"{name}.png")


def write_table(out, source, values):
    with (out / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(values)
        writer.writerows(zip(*values.values(), strict=True))
    real = source.decode(source[np.arange(min(len(source), 2000))]["x"])
    tables.save_pairs(out / "pairs.png", {"real": real, "generated": values})


def grid_columns(labels, num):
    """Columns so that each class has rows of its own, where classes share evenly."""
    if labels is not None:
        per_class = np.bincount(labels)
        per_class = per_class[per_class > 0]
        if len(per_class) > 1 and len(set(per_class)) == 1 and num <= 400:
            return int(per_class[0])
    return None
