"""Images beside their nearest others, and the distribution of the distances."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.plots import styles, texts
from jaxdiff.plots.pictures import shaded
from jaxdiff.plots.saving import colours, save_figure

# Inches of an image, and the gap between groups of columns, in images.
CELL, GAP = 0.75, 0.35


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


@styles.drawn
def save_neighbours(
    path: Path,
    images: np.ndarray,
    spaces: Mapping[str, Space],
    *,
    names: tuple[str, str] = ("sample", "nearest"),
    title: str = "",
) -> None:
    """Draw u8[n, h, w, c] with their nearest ones in each space, and below, by space,
    how the nearest distances are distributed.
    """
    n, k = next(iter(spaces.values())).distances.shape
    wide, size = 1 + len(spaces) * (k + GAP), texts.small()
    across = styles.across(len(spaces), 3.0, 2)
    width, down = (
        styles.width(max(CELL * wide, 4.4 * across)),
        -(-len(spaces) // across),
    )
    cell, line = min(CELL, 0.95 * width / wide), texts.height_of("", size)
    foot, head = 1.15 * line / cell, (2 * line + 0.05) / cell
    high = (n * (1 + foot) + head) * cell
    ratios = [high + 0.4, *[0.45 * width / across + 0.9] * down]
    figure = styles.figure(width, sum(ratios))
    grid = figure.add_gridspec(1 + down, across, height_ratios=ratios)
    axis = figure.add_subplot(grid[0, :])
    groups: list[Any] = [(0.0, names[0], images[:, None], None)]
    for i, (name, space) in enumerate(spaces.items()):
        left = 1 + GAP + i * (k + GAP)
        groups.append((left, f"{names[1]} in {name}", space.images, space.distances))
    for left, name, some, distances in groups:
        middle = left + some.shape[1] / 2 - 0.03
        text = texts.wrap(name, some.shape[1] * cell, size)
        axis.text(middle, -0.08, text, ha="center", va="bottom", fontsize=size)
        for i, j in np.ndindex(some.shape[:2]):
            x, y = left + j, i * (1 + foot)
            box = (x, x + 0.94, y + 0.94, y)
            axis.imshow(colours(shaded(some[i, j])), extent=box)
            if distances is not None:
                place = {"ha": "center", "va": "top", "fontsize": size}
                axis.text(x + 0.47, y + 0.97, f"{distances[i, j]:.2g}", **place)
    axis.set(xlim=(-0.05, wide), ylim=(n * (1 + foot), -head), aspect="equal")
    axis.set(xticks=[], yticks=[], title=title)
    axis.spines[:].set_visible(False)
    charts = []
    for i, (name, space) in enumerate(spaces.items()):
        charts.append(figure.add_subplot(grid[1 + i // across, i % across]))
        label = f"distance to the nearest in {name}, {space.unit}"
        _distribution(charts[-1], space, label)
    styles.legend_of(figure, charts)
    save_figure(path, figure)


def _distribution(axis: Any, space: Space, xlabel: str) -> None:
    values = np.concatenate([*space.nearest.values()])
    bins = np.linspace(0, 1.02 * max(float(values.max()), 1e-9), 41)
    for i, (name, some) in enumerate(space.nearest.items()):
        weights = np.full(len(some), 100 / len(some))
        style = {"weights": weights, "label": f"{name} ({len(some):,})"}
        if i:
            style |= {"histtype": "step", "color": styles.COLOURS[i], "linewidth": 1.5}
        else:
            style |= {"color": "0.75"}
        axis.hist(some, bins, **style)
    line = {"color": "black", "linestyle": "dashed", "linewidth": 1.0}
    axis.axvline(space.threshold, label="threshold", **line)
    title = space.title.replace(" %", "\u00a0%")
    axis.set(xlabel=xlabel, ylabel="share of images, %", title=title)
