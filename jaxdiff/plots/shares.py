"""Shares of classes: bars, and how they come about over the time of sampling."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


@styles.drawn
def save_shares(
    path: Path,
    names: Sequence[str],
    bars: dict[str, tuple[np.ndarray, np.ndarray | None]],
    t: np.ndarray,
    lines: dict[str, np.ndarray],
    settled: tuple[str, np.ndarray],
    *,
    titles: tuple[str, str],
) -> None:
    """Draw bars of the classes, and beside them lines from noise to data.

    Args: names: of the k classes.
          bars: name -> share f[k] and its error f[k], or None for one without.
          t: f[n], of the lines.  lines: class -> f[n].
          settled: name and f[n] of a black line.  titles: of the two panels.
    """
    wide = max(4.5, 0.45 * len(names) * len(bars))
    across = styles.across(2, 3.0, 2)
    high = 4.2 if across == 2 else 1.5 * styles.width(0.0)
    figure = styles.figure(styles.width(wide + 6.0), high)
    ratios: Any = {"width_ratios": (wide, 6.0)} if across == 2 else {}
    left, right = figure.subplots(2 // across, across, **ratios)
    at, width = np.arange(len(names)), 0.8 / len(bars)
    for i, (name, (share, error)) in enumerate(bars.items()):
        place = at + (i - (len(bars) - 1) / 2) * width
        colour = styles.COLOURS[0] if i == 0 else "0.75"
        left.bar(place, share, width, yerr=error, label=name, color=colour)
    left.set_xticks(at, names)
    left.set(ylabel="share, ± standard error")
    left.margins(y=0.2)  # room for the legend
    left.legend(loc="upper center", ncols=2)
    for name, style in styles.of_lines([*lines]).items():
        right.plot(t, lines[name], label=name, **style)
    right.plot(t, settled[1], label=settled[0], color="black", linewidth=2.0)
    right.set(xlabel="time t, from noise (1) to data (0)", ylabel="share of samples")
    right.set(xlim=(t.max(), t.min()), ylim=(0, 1.03))
    for axis, title in zip((left, right), titles, strict=True):
        axis.grid(axis="y")
        axis.set_title(title)
    styles.legend_of(figure, [right])
    save_figure(path, figure)
