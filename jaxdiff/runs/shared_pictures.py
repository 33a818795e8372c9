"""Pictures that several commands draw: of samples, and of a run's progress."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.data.orders import to_show
from jaxdiff.data.source import Source, real_rows
from jaxdiff.metrics.titles import title
from jaxdiff.plots import curves, pictures, tables

# Real rows in a pair plot, and samples that a grid sorts by class, at most.
MOST_ROWS, MOST_SORTED = 2000, 400
# Fields of metrics.jsonl that progress is drawn of.
MEASURED = ("frechet", "two_sample_accuracy")


def save_samples(
    path: Path, source: Source, values: Any, labels: np.ndarray | None, most: int = 0
) -> dict[str, Any]:
    """A grid of images, or a pair plot of generated rows beside real ones; returns the
    numbers that it shows.

    values: in data units, as of source.decode.  labels: the classes i32[n] of images
    most: images in the grid, as many of each class; 0 for all.
    """
    if source.is_image:
        shown = to_show(len(values), labels, most or len(values))
        labels = None if labels is None else labels[shown]
        pixels = pictures.to_uint8(values[shown], source.peak)
        columns, names = _columns_by_class(labels), []
        if columns and labels is not None:
            names = [source.class_names[k] for k in labels[::columns]]
        pictures.save_grid(path, pixels, columns=columns, names=names)
        return {}
    real = real_rows(source, MOST_ROWS)
    panels = {"real": real} if real else {}
    return {"outside": tables.save_pairs(path, panels | {"generated": values})}


def measured(rows: list[dict[str, Any]]) -> str:
    """Which field of MEASURED the rows of metrics.jsonl have; "" for none."""
    return next((name for name in MEASURED if any(name in row for row in rows)), "")


def save_progress(path: Path, rows: list[dict[str, Any]]) -> None:
    """The `measured` field over the optimiser steps."""
    name = measured(rows)
    points = [(row["step"], row[name]) for row in rows if name in row]
    lines = {"averaged parameters": tuple(np.array(points).T)}
    curves.save_lines(path, lines, xlabel="optimiser step", ylabel=title(name).axis())


def _columns_by_class(labels: np.ndarray | None) -> int | None:
    """How many columns give each class rows of its own; None where classes differ in
    size, where there is one class, and for more than MOST_SORTED samples."""
    if labels is None or len(labels) > MOST_SORTED:
        return None
    sizes = np.bincount(labels)
    sizes = sizes[sizes > 0]
    return int(sizes[0]) if len(sizes) > 1 and len({*sizes}) == 1 else None
