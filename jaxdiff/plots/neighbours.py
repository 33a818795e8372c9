"""Images beside their nearest others, and the distribution of the distances."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure, squeeze

# Inches of an image; gap between groups of columns, and the room under an image for
# its distance, in images.
CELL, GAP, FOOT = 0.75, 0.35, 0.36


class Space(NamedTuple):
    """What is near in one space.

    images, distances: of the nearest ones of each image, u8[n, k, h, w, c] and f[n, k]
    nearest: the nearest distances of all sets, name -> f[m]; the first is filled
    threshold: a line in their distribution.  unit: of distances.  title: of these
    """

    images: np.ndarray
    distances: np.ndarray
    nearest: Mapping[str, np.ndarray]
    threshold: float
    unit: str
    title: str


def save_neighbours(
    path: Path,
    images: np.ndarray,
    spaces: Mapping[str, Space],
    *,
    names: tuple[str, str] = ("sample", "nearest"),
    title: str = "",
) -> None:
    """Draw u8[n, h, w, c] with their nearest ones in each space, and to the right, by
    space, how the nearest distances are distributed.
    """
    n, k = next(iter(spaces.values())).distances.shape
    wide = 1 + len(spaces) * (k + GAP)
    high = n * (1 + FOOT)
    left, tall = CELL * wide + 0.2, max(CELL * (high + 1), 2.6 * len(spaces))
    figure = styles.figure(left + 4.4, tall)
    parts: Any = figure.subfigures(1, 2, width_ratios=(left, 4.4))
    sheet, charts = parts
    axis = sheet.subplots()
    _column(axis, 0.0, images, [], names[0])
    for i, (name, space) in enumerate(spaces.items()):
        first = 1 + GAP + i * (k + GAP)
        for j in range(k):
            text = f"{names[1]} in\n{name}" if not j else f"{j + 1}."
            distances = [f"{d:.3g}" for d in space.distances[:, j]]
            _column(axis, first + j, space.images[:, j], distances, text)
    axis.set(xlim=(-0.05, wide), ylim=(high, -0.55), aspect="equal")
    axis.set_axis_off()
    axis.set_title(fill(title, int(11 * left)), fontsize=10)
    axes = charts.subplots(len(spaces), 1, squeeze=False)[:, 0]
    for axis, (name, space) in zip(axes, spaces.items(), strict=True):
        _distribution(axis, space, f"distance to the nearest in {name}, {space.unit}")
    save_figure(path, figure)


def _column(
    axis: Any, left: float, images: np.ndarray, feet: Sequence[str], name: str
) -> None:
    axis.text(left + 0.47, -0.08, name, ha="center", va="bottom", fontsize=8)
    for i, image in enumerate(images):
        top = i * (1 + FOOT)
        box = (left, left + 0.94, top + 0.94, top)
        grey = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}
        axis.imshow(squeeze(image), extent=box, **grey)
        if feet:
            axis.text(
                left + 0.47, top + 0.97, feet[i], ha="center", va="top", fontsize=8
            )


def _distribution(axis: Any, space: Space, xlabel: str) -> None:
    values = np.concatenate([*space.nearest.values()])
    bins = np.linspace(0, 1.02 * max(float(values.max()), 1e-9), 41)
    for i, (name, some) in enumerate(space.nearest.items()):
        weights = np.full(len(some), 100 / len(some))
        style = {"weights": weights, "label": f"{name} ({len(some):,})"}
        if i:
            style |= {"histtype": "step", "color": styles.COLOURS[i], "linewidth": 1.8}
        else:
            style |= {"color": "0.75"}
        axis.hist(some, bins, **style)
    line = {"color": "black", "linestyle": "dashed", "linewidth": 1.0}
    axis.axvline(space.threshold, label="threshold", **line)
    axis.set(xlabel=xlabel, ylabel="share of images, %")
    whole = space.title.replace(" %", "\u00a0%").splitlines()
    lines = [fill(line, 52, break_on_hyphens=False) for line in whole]
    axis.set_title("\n".join(lines), fontsize=9)
    axis.margins(y=0.45)  # room for the legend
    axis.legend(fontsize=8, loc="upper right")
