"""Sampling: from parameters to images or rows, and from a workdir to files."""

import csv
from collections.abc import Callable
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
from jaxdiff.diffusion import guidance, sampling, upsampling
from jaxdiff.diffusion.denoisers import Denoise, clip
from jaxdiff.plots import pictures, tables
from jaxdiff.runs import workdir as files
from jaxdiff.runs.trained import Trained, load, load_classifier
from jaxdiff.tasks.task import Task
from jaxdiff.train import parallel

# Folded into an image's key, far from the steps of a solver: what its stream is for.
AUGMENT, UPSAMPLE = 2**30, 2**30 + 1


class Sampler(NamedTuple):
    """draw:   (params, seed, index i64[n], labels i32[n] or None) -> f32[n, *shape] in
            model units; image i depends on (seed, index[i], labels[i]) alone. Of an
            upsampler also on low[i], f32[n, s, s, c], by default its base's image i
    calls:  network calls one image costs, those of the base included
    wrap:   denoiser -> denoiser, the guidance and clipping of the config
    """

    draw: Callable[..., np.ndarray]
    calls: int
    wrap: Callable[[Denoise], Denoise]


class Base(NamedTuple):
    """Where an upsampler has its small images from.

    draw:  (seed, index, labels) -> f32[n, s, s, c] in the upsampler's model units
    calls: network calls one image costs
    """

    draw: Callable[..., np.ndarray]
    calls: int


def make_sampler(
    config: ConfigDict, source: Source, task: Task, base: Base | None = None
) -> Sampler:
    """The sampler of config.sampler. Errors: ValueError for what does not fit."""
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
    solver, grid = build.make_solver(config), build.make_grid(config)
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
        return clip(denoise, *source.bounds) if s.clip and source.bounds else denoise

    augment, most = s.augment, config.diffusion.augment
    require(
        0 <= augment <= most,
        f"sampler.augment={augment} must be from 0 to diffusion.augment={most}, up to "
        "which the upsampler was trained",
    )
    run = _pmapped(source.shape, tuple(devices))

    def draw(params, seed, index, labels, low=None):
        if low is None and base:
            low = base.draw(seed, index, labels)
        key, ts = jax.random.key(seed), jnp.asarray(grid, jnp.float32)
        denoise, parts = wrap(task.model(params)), []
        size = min(s.batch_size, len(index))
        chunk = -(-size // len(devices)) * len(devices)
        bar = tqdm(total=len(index), desc="sampling", unit="", disable=None)
        for at in range(0, len(index), chunk):
            # the last chunk repeats its last image: one shape, one compilation
            rows = np.minimum(np.arange(at, at + chunk), len(index) - 1)
            seeds = keying.split_by(key, jnp.asarray(index[rows]))
            told = [None if a is None else jnp.asarray(a[rows]) for a in (labels, low)]
            amount = jnp.full(len(rows), augment) if low is not None and most else None
            cond = (*told, amount)
            batch = parallel.shard((seeds, cond), len(devices))
            x = run(batch[0], denoise, solver, ts, batch[1], schedule, noise)
            parts.append(np.asarray(parallel.unshard(x))[: len(index) - at])
            bar.update(len(parts[-1]))
        bar.close()
        return np.concatenate(parts)

    calls = sampling.count_calls(solver, source.shape) * (len(grid) - 1)
    return Sampler(draw, calls + (base.calls if base else 0), wrap)


@lru_cache
def _pmapped(shape, devices):
    """One function for every sampler of a shape: another guidance compiles nothing."""

    def one(seeds, denoise, solver, ts, told, schedule, noise):
        cond, low, amount = told
        if low is not None:
            # streams of their own: the base drew from these keys
            keys, seeds = keying.fold(seeds, AUGMENT), keying.fold(seeds, UPSAMPLE)
            cond = upsampling.beside(
                keys,
                low,
                cond,
                shape=shape,
                schedule=schedule,
                noise=noise,
                amount=amount,
            )
        x_T = sampling.init_noise(seeds, shape, schedule=schedule, noise=noise, t=ts[0])
        return sampling.sample(seeds, denoise, solver, ts, x_T, cond)

    split = (True, False, False, False, True, False, False)
    return parallel.pmap_map(one, devices, split)


def load_base(config: ConfigDict, source: Source) -> Base | None:
    """The run that config.sampler.base names, for an upsampler; None for other models.

    It samples as its own config says, and the same images as it would by itself.
    Errors: ValueError or FileNotFoundError for a run that is none or does not fit.
    """
    size = config.diffusion.low_size
    if not size:
        return None
    require(
        config.sampler.base,
        f"this run enlarges {size}x{size} images: --config.sampler.base=WORKDIR names "
        "the run that makes them",
    )
    folder = Path(config.sampler.base)
    trained = load(folder, files.load_config(folder))
    sampler = make_sampler(trained.config, trained.source, trained.task)
    inner = trained.source
    shape, classes = (size, size, source.shape[-1]), num_asked(config, source)
    told = num_asked(trained.config, inner)
    require(
        inner.is_image and inner.shape == shape and classes in (0, told),
        f"sampler.base: {folder} makes {inner.shape} of {told} classes, and this run "
        f"enlarges {shape} of {classes}",
    )

    def draw(seed, index, labels):
        # classes that the upsampler is not told of are spread evenly
        labels = even_labels(len(index), told) if labels is None else labels
        x = sampler.draw(trained.params, seed, index, labels)
        return source.encode(inner.decode(x) * (source.peak / inner.peak))

    return Base(draw, sampler.calls)


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
) -> Request:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(num >= 1, f"--num must be at least 1, got {num}")
    files.check_out(out, force)
    trained = load(workdir, config)
    base = load_base(config, trained.source)
    sampler = make_sampler(config, trained.source, trained.task, base)
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
    return Request(trained, sampler, labels, num, seed, out, png)


def run(request: Request) -> np.ndarray:
    """Draw, and write grid.png, samples.npz (for tables samples.csv, pairs.png)."""
    trained, sampler, labels, num, seed, out, png = request
    source = trained.source
    x = sampler.draw(trained.params, seed, np.arange(num), labels)
    print(
        f"{num} samples from step {trained.step}, "
        f"{sampler.calls} network calls each, in {out}"
    )
    out.mkdir(parents=True, exist_ok=True)
    values = source.decode(x)
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


def write_images(out, source, values, labels, png):
    pixels = pictures.to_uint8(values, source.peak)
    classes = source.class_names if labels is not None else ()
    pictures.save_grid(
        out / "grid.png", pixels[:400], columns=grid_columns(labels, len(pixels))
    )
    if png:
        for i, image in enumerate(pixels):
            name = f"{i:06d}" if labels is None else f"{i:06d}_{classes[labels[i]]}"
            # "T-shirt/top" is a class, and no folder
            name = name.replace("/", "-")
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
