"""Sampling a run: from its workdir to files."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxdiff.arrays import require
from jaxdiff.plots import conditionals, pictures, tables
from jaxdiff.runs import fixed as fixing
from jaxdiff.runs import sweep as sweeping
from jaxdiff.runs import workdir as files
from jaxdiff.runs.sampler import (
    Sampler,
    even_labels,
    load_base,
    make_sampler,
    num_asked,
)
from jaxdiff.runs.trained import Trained, load

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
    fixed: fixing.Fixed | None = None
    sweep: sweeping.Sweep | None = None


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
) -> Request:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(num >= 1, f"--num must be at least 1, got {num}")
    files.check_out(out, force)
    trained = load(workdir, config)
    fixed = fixing.parse(trained.source, fix) if fix else None
    mask, base = fixed.mask if fixed else None, load_base(config, trained.source)
    sampler = make_sampler(config, trained.source, trained.task, base=base, mask=mask)
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
    swept = None
    if sweep:
        require(source.is_image, "--sweep draws images; this model makes tables")
        require(not png, "--png and --sweep do not go together: leave one out")
        asked = sweeping.parse(config, sweep)
        swept = sweeping.make_sweep(config, source, trained.task, asked, base)
    return Request(trained, sampler, labels, num, seed, out, png, fixed, swept)


def run(request: Request) -> np.ndarray:
    """Draw, and write samples.npz, grid.png (for tables samples.csv, pairs.png).

    With columns fixed also fixed.png, and what was found is printed.
    """
    if request.sweep:
        return run_sweep(request, request.sweep)
    trained, sampler, labels, num, seed, out, png, fixed, _ = request
    source = trained.source
    rows = np.repeat(fixed.values, num, axis=0) if fixed else None
    x = sampler.draw(trained.params, seed, np.arange(num), labels, values=rows)
    print(
        f"{num} samples from step {trained.step}, "
        f"{sampler.calls()} network calls each, in {out}"
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
    out.mkdir(parents=True, exist_ok=True)
    values = np.stack([source.decode(each) for each in x])
    pixels = pictures.to_uint8(values, source.peak)
    shown = min(num, MOST)
    columns = [] if labels is None else [source.class_names[k] for k in labels[:shown]]
    rows = dict(zip(titles, pixels[:, :shown], strict=True))
    group = len(titles) // len(set(sweep.values[:, 0]))
    pictures.save_rows(out / "sheet.png", rows, columns=columns, group=group)
    swept = dict(zip(sweep.names, sweep.values.T, strict=True))
    meta = {} if labels is None else {"labels": labels}
    np.savez_compressed(
        out / "samples.npz",
        values=values,
        seed=np.int64(request.seed),
        seeds=np.arange(num),
        **meta,
        **swept,
    )
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
