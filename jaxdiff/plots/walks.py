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
    figure = styles.figure(2.3 * len(steps), 3.3)
    axes = figure.subplots(1, len(steps), sharex=True, sharey=True, squeeze=False)[0]
    dots, path_colour = styles.COLOURS[0], styles.COLOURS[1]
    reach = max(np.abs(x[steps]).max(), (np.abs(centres).max(axis=1) + 2 * radii).max())
    for axis, k, centre, radius, name in zip(
        axes, steps, centres, radii, titles, strict=True
    ):
        axis.plot(*x[k].T, ".", ms=1.5, color=dots, alpha=0.35, mew=0, zorder=1)
        axis.plot(*x[: k + 1, 0].T, lw=0.6, color=path_colour, zorder=2)
        axis.plot(*x[k, 0], "o", ms=4, color=path_colour, zorder=4)
        for times in (1, 2):
            circle = Circle(tuple(centre), times * radius, fill=False, lw=1.1, zorder=3)
            axis.add_patch(circle)
        axis.plot(*x[0, 0], "+", ms=8, mew=1.5, color="black", zorder=5)
        axis.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("first coordinate of x_t", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0].set_ylabel("second coordinate of x_t", fontsize=8)
    legend = (
        "dots: walkers; circles: alpha_t x0 ± 1 and 2 sigma_t; +: x0; line: one walk"
    )
    figure.suptitle(f"{title}\n{legend}", fontsize=10)
    save_figure(path, figure)
