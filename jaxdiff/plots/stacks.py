"""Panels one above the other on the same horizontal axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


class Panel(NamedTuple):
    """lines: name -> (x, y) or (x, y, its standard error), f[n]; n = 1 is a point.

    log: on a logarithmic axis, whose range is that of the lines without the points.
    """

    ylabel: str
    lines: dict[str, tuple[np.ndarray, ...]]
    log: bool = False


def save_stack(
    path: Path,
    panels: Sequence[Panel],
    *,
    xlabel: str,
    title: str = "",
    shaded: tuple[float, float] | None = None,
) -> None:
    """Draw panels of lines, with their errors, under a title.

    shaded: a range of x that the title is about.
    """
    figure = styles.figure(6.0, 2.3 * len(panels) + 0.7)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        for name, style in styles.of_lines([*panel.lines]).items():
            _draw_line(axis, panel.lines[name], label=name, **style)
        if panel.log:
            _set_log(axis, [y for x, y, *_ in panel.lines.values() if len(x) > 1])
        if shaded:
            axis.axvspan(*shaded, color="0.5", alpha=0.2, linewidth=0)
        axis.set_ylabel(panel.ylabel)
        axis.grid(alpha=0.3, which="major")
        axis.legend(fontsize=8)
    axes[-1].set_xlabel(xlabel)
    figure.suptitle(title, fontsize=10)
    figure.align_ylabels(axes)
    save_figure(path, figure)


def _set_log(axis, lines):
    values = np.concatenate(lines)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = values.min() / 1.5, values.max() * 1.5
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    if high < 100 * low:  # so few powers of ten that other ticks need numbers too
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())


def _draw_line(axis, line, *, color, **style):
    x, y, *error = (np.asarray(a, float) for a in line)
    if len(x) == 1:
        axis.errorbar(x, y, *error, fmt="o", color=color, label=style["label"])
        return
    axis.plot(x, y, color=color, **style)
    if error:
        axis.fill_between(x, y - error[0], y + error[0], color=color, alpha=0.25, lw=0)
