"""Sampling a run: from its workdir to files."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.plots import conditionals, pictures, tables
from jaxdiff.runs import fixed as fixing
from jaxdiff.runs import workdir as files
from jaxdiff.runs.sampler import (
    Sampler,
    even_labels,
    load_base,
    make_sampler,
    num_asked,
)
from jaxdiff.runs.trained import Trained, load


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
    files.check_out(out, force)
    trained = load(workdir, config)
    fixed = fixing.parse(trained.source, fix) if fix else None
    mask, base = fixed.mask if fixed else None, load_base(config, trained.source)
    sampler = make_sampler(config, trained.source, trained.task, base=base, mask=mask)
    source, classes = trained.source, num_asked(config, trained.source)
    labels = even_labels(num, classes)
    if label is not None:
        check_label(label, classes, source)
        labels = np.full(num, label, np.int32)
    require(not png or source.is_image, "--png is for images; this model makes tables")
    return Request(trained, sampler, labels, num, seed, out, png, fixed)


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

    With columns fixed also fixed.png, and what was found is printed.
    """
    trained, sampler, labels, num, seed, out, png, fixed = request
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
