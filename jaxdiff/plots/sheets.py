"""Sheets of images one below the other, with a class per column if all have labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff.plots import pictures

# The columns and rows of a sheet.
ACROSS, DOWN = 10, 3


class Sheet(NamedTuple):
    """The images of one row of sheets.

    name:   drawn beside it
    pixels: u8[n, h, w, c]
    labels: i32[n], or None if they are not known
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray | None


def save_sheets(
    path: Path, sheets: Sequence[Sheet], class_names: Sequence[str], title: str = ""
) -> None:
    """Draw the sheets.

    title: the class, if all images are of one; columns are then unnamed.
    """
    classes = [] if title else common_classes([sheet.labels for sheet in sheets])
    strips = {}
    for sheet in sheets:
        for i, strip in enumerate(strips_of(sheet, classes)):
            # names are keys, so the rows around the middle one are named by blanks
            strips[sheet.name if i == DOWN // 2 else " " * len(strips)] = strip
    columns = [class_names[k] for k in classes]
    pictures.save_rows(path, strips, columns=columns, title=title, group=DOWN)


def common_classes(labels: Sequence[np.ndarray | None]) -> list[int]:
    """Up to ACROSS classes in all sets, evenly chosen; [] if a set has no labels."""
    known = [{*some.tolist()} for some in labels if some is not None]
    shared = sorted(set.intersection(*known)) if len(known) == len(labels) else []
    at = np.linspace(0, len(shared) - 1, min(ACROSS, len(shared)))
    return [shared[i] for i in at.round().astype(int)]


def strips_of(sheet: Sheet, classes: Sequence[int]) -> np.ndarray:
    """u8[DOWN, columns, h, w, c]: a class per column, or without classes in order.

    Missing images are white.
    """
    if classes:
        assert sheet.labels is not None
        at = np.full((DOWN, len(classes)), -1)
        for column, k in enumerate(classes):
            rows = np.flatnonzero(sheet.labels == k)[:DOWN]
            at[: len(rows), column] = rows
    else:
        at = np.arange(DOWN * ACROSS).reshape(DOWN, ACROSS)
        at[at >= len(sheet.pixels)] = -1
    missing = (at < 0)[..., None, None, None]
    return np.where(missing, np.uint8(255), sheet.pixels[at])
