"""Random walks in the plane, beside the circles of normal distributions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.patches import Circle

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


def save_walks(
    path: Path,
    x: np.ndarray,
    steps: Sequence[int],
    centres: np.ndarray,
    radii: np.ndarray,
    *,
    titles: Sequence[str],
    title: str = "",
) -> None:
    """Draw where walkers are after some of their steps, and the first one's path.

    Args: x: f[n + 1, walkers, 2], from the start on.  steps: k of them, rising.
          centres, radii: f[k, 2] and f[k], of circles of radius 1 and 2 times this.
          titles: of the panels.
    """
    across = -(-len(steps) // 2)
    figure = styles.figure(2.5 * across, 6.0)
    grid = figure.subplots(2, across, sharex=True, sharey=True)
    dots, path_colour = styles.COLOURS[0], styles.COLOURS[1]
    # in each direction as far as most walkers come: 2.8 standard deviations
    ends = np.concatenate([centres + k * radii[:, None] for k in (-2.8, 2.8)])
    low, high = ends.min(), ends.max()
    for axis, k, centre, radius, name in zip(
        grid.flat, steps, centres, radii, titles, strict=False
    ):
        axis.plot(*x[k].T, ".", ms=2.5, color=dots, alpha=0.4, mew=0, zorder=1)
        axis.plot(*x[: k + 1, 0].T, lw=0.6, color=path_colour, zorder=2)
        axis.plot(*x[k, 0], "o", ms=4, color=path_colour, zorder=4)
        for times in (1, 2):
            circle = Circle(tuple(centre), times * radius, fill=False, lw=1.1, zorder=3)
            axis.add_patch(circle)
        axis.plot(*x[0, 0], "+", ms=9, mew=1.5, color="black", zorder=5)
        axis.set(aspect="equal", xlim=(low, high), ylim=(low, high))
        axis.set_title(name, fontsize=9)
    figure.supxlabel("first coordinate of x_t", fontsize=9)
    figure.supylabel("second coordinate of x_t", fontsize=9)
    legend = (
        "dots: walkers; circles: alpha_t x0 ± 1 and 2 sigma_t; +: x0; line: one walk"
    )
    figure.suptitle(f"{title}\n{legend}", fontsize=10)
    save_figure(path, figure)
