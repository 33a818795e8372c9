"""Random walks in the plane, beside the circles of normal distributions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.patches import Circle

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


@styles.drawn
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
    """Draw where walkers x_t are after some of their steps, and the first one's path.

    Args: x: f[n + 1, walkers, 2], from the start on.  steps: k of them, rising.
          centres, radii: f[k, 2] and f[k], of circles of radius 1 and 2 times this.
          titles: of the panels.
    """
    how = {"least": 1.5, "most": -(-len(steps) // 2), "sharex": True, "sharey": True}
    figure, axes = styles.panels(len(steps), 2.5, 0.85, above=0.5, **how)
    dots, path_colour = styles.COLOURS[0], styles.COLOURS[1]
    # in each direction as far as most walkers come: 2.8 standard deviations
    ends = np.concatenate([centres + k * radii[:, None] for k in (-2.8, 2.8)])
    low, high = ends.min(), ends.max()
    for axis, k, centre, radius, name in zip(
        axes, steps, centres, radii, titles, strict=True
    ):
        many = {"ms": 2.5, "color": dots, "alpha": 0.4, "mew": 0, "zorder": 1}
        axis.plot(*x[k].T, ".", **many)
        axis.plot([], [], "o", color=dots, label="walkers")
        one = {"color": path_colour, "markevery": [-1], "zorder": 4, "lw": 0.6}
        axis.plot(*x[: k + 1, 0].T, "-o", label="one walk", **one)
        for times in (1, 2):
            circle = Circle(tuple(centre), times * radius, fill=False, zorder=3)
            axis.add_patch(circle)
        about = "circles: alpha_t x0 ± 1 and 2 sigma_t"
        axis.plot([], [], "o", mfc="none", ms=6, color="black", label=about)
        axis.plot(*x[0, 0], "+", ms=7, mew=1.5, color="black", label="x0", zorder=5)
        axis.set(aspect="equal", xlim=(low, high), ylim=(low, high))
        axis.set_title(name)
        axis.set(xlabel="first coordinate", ylabel="second coordinate")
        axis.label_outer()
    figure.suptitle(title)
    styles.legend_of(figure, axes[:1])
    save_figure(path, figure)
