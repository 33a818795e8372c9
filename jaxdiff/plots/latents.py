"""Latent codes as a map: points in a plane, coloured by class, over the unit normal."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.patches import Circle
from matplotlib.text import Text

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


@styles.drawn
def save_codes(
    path: Path,
    panels: dict[str, np.ndarray],
    labels: np.ndarray,
    *,
    axes_names: Sequence[tuple[str, str]],
) -> None:
    """Draw scatter plots side by side, with circles at 1, 2, 3 deviations of N(0, I).

    Each panel has its own limits, because one space can be many times as wide as
    another.

    Args: panels: title -> f[n, 2].  labels: str[n], the class of each row.
          axes_names: of each panel.
    """
    classes = sorted({*labels})
    figure, axes = styles.panels(len(panels), 5.4, 1.0)
    white, centre = patheffects.withStroke(linewidth=2.5, foreground="white"), "center"
    named = []
    for axis, names, title in zip(axes, axes_names, panels, strict=True):
        codes = panels[title]
        texts = []
        for name, style in styles.of_classes(classes).items():
            points = codes[labels == name]
            axis.scatter(*points.T, s=4, alpha=0.5, linewidths=0, **style)
            # there are more classes than colours, so names are written among the points
            x, y = np.median(points, axis=0)
            texts.append(axis.text(x, y, name, ha=centre, va=centre, zorder=4))
            texts[-1].set_path_effects([white])
        for radius in (1, 2, 3):
            axis.add_patch(Circle((0, 0), radius, fill=False, linestyle="dashed"))
        axis.set_aspect("equal", adjustable="datalim")
        axis.set(xlabel=names[0], ylabel=names[1], title=title)
        axis.grid()
        named.append(texts)
    figure.draw_without_rendering()
    for texts in named:
        move_apart(texts)
    save_figure(path, figure)


def move_apart(texts: Sequence[Text], rounds: int = 50) -> None:
    """Move texts of one axis, which has its layout, up or down until none overlap."""
    boxes = [text.get_window_extent().padded(2.0) for text in texts]
    shifts = np.zeros(len(texts))
    for _ in range(rounds):
        for (i, a), (j, b) in combinations(enumerate(boxes), 2):
            low, high = (j, i) if a.y0 + shifts[i] > b.y0 + shifts[j] else (i, j)
            over = boxes[low].y1 + shifts[low] - boxes[high].y0 - shifts[high]
            if over > 0 and min(a.x1, b.x1) > max(a.x0, b.x0):
                shifts[high] += 0.51 * over
                shifts[low] -= 0.51 * over
    for text, shift in zip(texts, shifts, strict=True):
        to_pixels = text.get_transform()
        x, y = to_pixels.transform(text.get_position())
        x, y = to_pixels.inverted().transform((x, y + shift))
        text.set_position((float(x), float(y)))
