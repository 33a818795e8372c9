"""Latent codes as a map: points in a plane, coloured by class, over the unit normal."""

from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.patches import Circle

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


def save_codes(
    path: Path,
    panels: dict[str, np.ndarray],
    labels: np.ndarray,
    *,
    axes_names: tuple[str, str],
) -> None:
    """Draw scatter plots side by side, with circles at 1, 2, 3 deviations of N(0, I).

    Each panel has its own limits, because one space can be many times as wide as
    another.

    Args: panels: title -> f[n, 2].  labels: str[n], the class of each row.
    """
    figure = styles.figure(6.6 * len(panels), 6.9)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, codes) in zip(axes, panels.items(), strict=True):
        for name, style in styles.of_classes(sorted({*labels})).items():
            points = codes[labels == name]
            axis.scatter(*points.T, s=7, alpha=0.5, linewidths=0, **style)
            # there are more classes than colours, so names are written among the points
            text = axis.text(
                *np.median(points, axis=0), name, fontsize=12, ha="center", va="center"
            )
            white = patheffects.withStroke(linewidth=3, foreground="white")
            text.set_path_effects([white])
        for radius in (1, 2, 3):
            axis.add_patch(Circle((0, 0), radius, fill=False, linestyle="dashed"))
        axis.set_aspect("equal", adjustable="datalim")
        axis.set(xlabel=axes_names[0], ylabel=axes_names[1])
        axis.set_title(title, fontsize=11)
        axis.grid(alpha=0.3)
    save_figure(path, figure)
