"""Sampling a run: from its workdir to files."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from tqdm import tqdm

from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.plots import conditionals, pictures, tables
from jaxdiff.runs import shards
from jaxdiff.runs.experiment import Trained, load
from jaxdiff.runs.sample import columns as fixing
from jaxdiff.runs.sample import sweep as sweeping
from jaxdiff.runs.sampler import (
    Sampler,
    even_labels,
    load_base,
    make_sampler,
    num_asked,
)

# Samples in a file, unless asked otherwise: as many as are held in memory.
SHARD = 10_000
# Images in a row of a sweep's sheet; the file has all of them.
MOST = 20


class Request(NamedTuple):
    """What launch.sample was asked for, checked: see `prepare`."""

    trained: Trained
    sampler: Sampler
    labels: np.ndarray | None
    num: int
    seed: int
    out: Path
    png: bool
    fixed: fixing.Fixed | None
    sweep: sweeping.Sweep | None
    asked: dict[str, Any]
    going_on: bool


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
    sweep: Sequence[str] = (),
    shard: int = SHARD,
    whole_too: bool = False,
) -> Request:
    """Check everything before any work. Errors: ValueError, FileNotFoundError.

    whole_too: samples of the same request that are all there are left as they are.
    """
    require(num >= 1, f"--num must be at least 1, got {num}")
    require(shard >= 1, f"--shard must be at least 1, got {shard}")
    trained = load(workdir, config)
    asked = {
        "workdir": str(workdir.resolve()),
        "step": trained.step,
        "num": num,
        "shard": shard,
        "seed": seed,
        "label": label,
        "fix": [*fix],
        "sweep": [*sweep],
        "png": png,
        "sampler": config.sampler.to_dict(),
    }
    going_on = shards.begin(out, asked, force, whole_too=whole_too)
    require(
        num <= shard or not (fix or sweep),
        f"--fix and --sweep give one file: --num {num} must be at most --shard {shard}",
    )
    fixed = fixing.parse(trained.source, fix) if fix else None
    mask, base = fixed.mask if fixed else None, load_base(config, trained.source)
    sampler = make_sampler(config, trained.source, trained.task, base=base, mask=mask)
    source, classes = trained.source, num_asked(config, trained.source)
    labels = even_labels(num, classes)
    if label is not None:
        check_label(label, classes, source)
        labels = np.full(num, label, np.int32)
    require(not png or source.is_image, "--png is for images; this model makes tables")
    swept = None
    if sweep:
        require(source.is_image, "--sweep draws images; this model makes tables")
        require(not png, "--png and --sweep do not go together: leave one out")
        values = sweeping.parse(config, sweep)
        swept = sweeping.make_sweep(config, source, trained.task, values, base)
    return Request(
        trained, sampler, labels, num, seed, out, png, fixed, swept, asked, going_on
    )


def check_label(label: int, classes: int, source: Source) -> None:
    """ValueError for a --label that is none of the model's classes."""
    require(classes > 0, f"--label {label}: this model was trained without labels")
    names = ", ".join(f"{i} {n}" for i, n in enumerate(source.class_names))
    require(
        0 <= label < classes,
        f"--label must be from 0 to {classes - 1}, got {label}; classes: {names}",
    )


def run(request: Request) -> np.ndarray:
    """Draw, and write samples.npz, grid.png (for tables samples.csv, pairs.png).

    More than a shard are written as samples-00000.npz and on, one in memory at a time;
    what is there of the same request is not drawn again. With columns fixed also
    fixed.png, and what was found is printed.
    Returns: the last samples drawn, f32[n, *shape] in model units.
    """
    shards.start(request.out, request.asked, request.going_on)
    if request.sweep:
        return run_sweep(request, request.sweep)
    trained, num, out = request.trained, request.num, request.out
    parts = shards.plan(num, request.asked["shard"])
    left = {k: v for k, v in parts.items() if not (out / k).is_file()}
    if len(left) < len(parts):
        print(f"{len(parts) - len(left)} of {len(parts)} files are there already")
    x = np.zeros(())
    for name, index in tqdm(left.items(), "files", disable=len(parts) == 1 or None):
        x = _write(request, out / name, index)
    print(
        f"{num} samples from step {trained.step}, "
        f"{request.sampler.calls()} network calls each, in {out}"
    )
    if len(parts) > 1 and trained.source.is_image:
        write_grid(out, trained.source, *_some(out, parts))
    return x


def _write(request, path, index):
    """One file of samples, and for one file of all its pictures."""
    trained, seed, out = request.trained, request.seed, request.out
    fixed, source = request.fixed, trained.source
    labels = None if request.labels is None else request.labels[index]
    rows = np.repeat(fixed.values, len(index), axis=0) if fixed else None
    x = request.sampler.draw(trained.params, seed, index, labels, values=rows)
    values: Any = source.decode(x)
    if fixed:
        values = fixing.exact(source, fixed, values)
        show_fixed(out, source, fixed, values)
    if source.is_image:
        if len(index) == request.num:
            write_grid(out, source, values, labels)
        if request.png:
            write_pngs(out, source, values, labels, index)
        saved = {"values": values}
    else:
        write_table(path.with_suffix(".csv"), values)
        if not index[0]:  # of many files the first shows as much as all
            write_pairs(out, source, values)
        saved = dict(values)
    meta: dict[str, Any] = {"seed": np.int64(seed), "seeds": index}
    if labels is not None:
        meta["labels"] = labels
    shards.write(path, {**saved, **meta})
    return x


def _some(out, parts, most=100):
    """Values and labels of `most` samples from all files alike."""
    num = 1 + max(index[-1] for index in parts.values())
    wanted = np.unique(np.linspace(0, num - 1, min(num, most)).astype(int))
    values, labels = [], []
    for _, arrays in shards.read(out):
        rows = np.flatnonzero(np.isin(arrays["seeds"], wanted))
        values.append(arrays["values"][rows])
        labels.append(arrays["labels"][rows] if "labels" in arrays else None)
    told = None if labels[0] is None else np.concatenate(labels)
    return np.concatenate(values), told


def run_sweep(request: Request, sweep: sweeping.Sweep) -> np.ndarray:
    """Draw every combination from the same noise; write sheet.png and samples.npz."""
    trained, labels, num = request.trained, request.labels, request.num
    source, out = trained.source, request.out
    x = sweep.draw(trained.params, request.seed, np.arange(num), labels)
    titles = sweep.titles()
    print(
        f"{len(titles)} x {num} samples from step {trained.step} as one program, "
        f"{sweep.calls()} network calls each, in {out}"
    )
    values = np.stack([source.decode(each) for each in x])
    pixels = pictures.to_uint8(values, source.peak)
    shown = min(num, MOST)
    columns = [] if labels is None else [source.class_names[k] for k in labels[:shown]]
    rows = dict(zip(titles, pixels[:, :shown], strict=True))
    group = len(titles) // len(set(sweep.values[:, 0]))
    pictures.save_rows(out / "sheet.png", rows, columns=columns, group=group)
    swept = dict(zip(sweep.names, sweep.values.T, strict=True))
    meta = {} if labels is None else {"labels": labels}
    seeds = {"seed": np.int64(request.seed), "seeds": np.arange(num)}
    shards.write(out / "samples.npz", {"values": values, **seeds, **meta, **swept})
    return x


def show_fixed(out, source, fixed, values):
    real = fixing.matching(source, fixed)
    print("\n".join(fixing.describe(fixed, values, real)))
    free = {k: v for k, v in values.items() if k not in fixed.given}
    conditionals.save_given(out / "fixed.png", fixed.title, free, real)


def write_grid(out, source, values, labels):
    pixels = pictures.to_uint8(values, source.peak)
    columns = grid_columns(labels, len(pixels))
    pictures.save_grid(out / "grid.png", pixels[:400], columns=columns)


def write_pngs(out, source, values, labels, index):
    for k, image in enumerate(pictures.to_uint8(values, source.peak)):
        name = f"{index[k]:06d}"
        if labels is not None:
            # "T-shirt/top" is a class, and no folder
            name += "_" + source.class_names[labels[k]].replace("/", "-")
        Image.fromarray(pictures.squeeze(image)).save(out / f"{name}.png")


def write_table(path, values):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(values)
        writer.writerows(zip(*values.values(), strict=True))


def write_pairs(out, source, values):
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
