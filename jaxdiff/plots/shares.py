"""Shares of classes: bars, and how they come about over the time of sampling."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


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
    figure = styles.figure(wide + 6.0, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=(wide, 6.0))
    at, width = np.arange(len(names)), 0.8 / len(bars)
    for i, (name, (share, error)) in enumerate(bars.items()):
        place = at + (i - (len(bars) - 1) / 2) * width
        colour = styles.COLOURS[0] if i == 0 else "0.75"
        left.bar(place, share, width, yerr=error, label=name, color=colour, capsize=3)
    longest = max(map(len, names))
    turn = {"rotation": 45, "ha": "right"} if longest * len(names) > 40 else {}
    left.set_xticks(at, names, **turn)
    left.set(ylabel="share, ± standard error")
    left.legend()
    for name, style in styles.of_lines([*lines]).items():
        right.plot(t, lines[name], label=name, **style)
    right.plot(t, settled[1], label=settled[0], color="black", linewidth=2.0)
    right.set(xlabel="time t, from noise (1) to data (0)", ylabel="share of samples")
    right.set(xlim=(t.max(), t.min()), ylim=(0, 1.03))
    figure.legend(*right.get_legend_handles_labels(), loc="outside right upper")
    for axis, title in zip((left, right), titles, strict=True):
        axis.grid(alpha=0.3, axis="y")
        axis.set_axisbelow(True)
        axis.set_title(title, fontsize=10)
    save_figure(path, figure)
