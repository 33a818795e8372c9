"""Images with names in the margins: of rows at the left, of columns above.

Everything is placed in inches. What texts need is measured, so no layout is searched
for, and an image of as many pixels as its place has is drawn pixel by pixel.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from jaxdiff.plots import texts
from jaxdiff.plots.page import page
from jaxdiff.plots.saving import colours, save_figure

# Between an image, its names and the edges, inches.
GAP = 0.06
# Most of a column's width, and most inches on a screen, for the names of rows.
MOST, MOST_ON_SCREEN = 0.36, 3.0
# Inches of names of columns that are turned, at most.
TURNED = 1.1


class Names(NamedTuple):
    """texts: drawn as they are, "" for none.  middles: where, in pixels of the image"""

    texts: Sequence[str]
    middles: Sequence[float] | np.ndarray


NO_NAMES = Names((), ())


def margin(names: Sequence[str]) -> tuple[list[str], float]:
    """Names of rows, shortened to what there is room for, and the inches they need."""
    size, most = texts.small(), page().width * MOST or MOST_ON_SCREEN
    short = texts.squeeze_names([*names], most, size)
    widest = max((texts.width_of(name, size) for name in short), default=0.0)
    return short, widest + 2 * GAP if widest else GAP


def save_labelled(
    path: Path,
    image: np.ndarray,
    width: float,
    *,
    rows: Names,
    columns: Names = NO_NAMES,
    title: str = "",
) -> None:
    """Draw u8[h, w, c] `width` inches wide with the names beside it.

    The figure is as large as all of it; rows: with texts of `margin`.
    """
    high, wide = image.shape[0] * width / image.shape[1], image.shape[1]
    names, left = margin(rows.texts)
    names = _of_height(names, rows.middles, width / wide)
    heads, turned = _heads(columns, width / wide) if columns.texts else ([], False)
    size = texts.small()
    above = max((_height(head, turned) for head in heads), default=0.0)
    left, above = _whole(left), _whole(above + 2 * GAP)
    whole = left + width + GAP
    size_of_title = mpl.rcParams["axes.titlesize"]
    if title:
        # names beside the image leave the title the whole width
        whole = max(whole, min(texts.width_of(title, size_of_title) + 2 * GAP, 4.0))
        whole = min(whole, page().width or whole)
        title = texts.wrap_evenly(title, whole - 2 * GAP, size_of_title)
    top = texts.height_of(title, size_of_title) + GAP if title else 0.0
    shape = _whole(whole), _whole(high) + above + _whole(top) + _whole(GAP)
    figure = Figure(figsize=shape)
    bottom = _whole(GAP) / shape[1]
    box = (left / shape[0], bottom, width / shape[0], high / shape[1])
    axis = figure.add_axes(box)
    axis.imshow(colours(image), aspect="auto")
    axis.set_yticks(rows.middles, names)
    axis.set_xticks(columns.middles, heads)
    place = {"labeltop": True, "labelbottom": False, "pad": 72 * GAP}
    axis.tick_params(length=0, labelsize=size, **place)
    if turned:
        axis.tick_params(axis="x", labelrotation=90)
    axis.spines[:].set_visible(False)
    if title:
        y = 1 - 0.5 * GAP / shape[1]
        figure.text(0.5, y, title, ha="center", va="top", fontsize=size_of_title)
    save_figure(path, figure)


def _whole(inches: float) -> float:
    """Rounded up to whole pixels, so that the image begins at one."""
    dpi = page().resolution
    return ceil(round(inches * dpi, 6)) / dpi


def _of_height(names, middles, scale):
    """Names in one line where the rows are too close for more."""
    at = [y for name, y in zip(names, middles, strict=True) if name.strip()]
    pitch = min(np.diff(at), default=np.inf) * scale
    size = texts.small()
    if max((texts.height_of(name, size) for name in names), default=0.0) <= pitch:
        return names
    most = max(texts.width_of(name, size) for name in names)
    return [texts.shorten(name.replace("\n", " "), most, size) for name in names]


def _heads(columns, scale):
    """Names of columns, wrapped, or where they do not fit turned; whether turned."""
    size = texts.small()
    pitch = min(np.diff(columns.middles), default=np.inf) * scale
    heads = [texts.wrap(name, 0.95 * pitch, size, cut=False) for name in columns.texts]
    if max(texts.width_of(head, size) for head in heads) <= pitch:
        return heads, False
    names = [name.replace("\n", " ") for name in columns.texts]
    return [texts.shorten(name, TURNED, size) for name in names], True


def _height(head, turned):
    measure = texts.width_of if turned else texts.height_of
    return measure(head, texts.small())
