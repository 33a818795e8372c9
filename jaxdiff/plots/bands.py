"""Lines with their errors as bands, and single numbers with theirs as bars."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure

# (mean, error), numbers or f[n].
Estimate = tuple[Any, Any]


class Lines(NamedTuple):
    """A panel of lines over x.

    lines: name -> (mean f[n], error f[n]).  level: where a dashed line lies, if any.
    """

    ylabel: str
    lines: dict[str, Estimate]
    log: bool = False
    level: float | None = None


class Bars(NamedTuple):
    """A panel of single numbers: name -> (mean, error)."""

    xlabel: str
    points: dict[str, Estimate]


def save_bands(
    path: Path,
    x: np.ndarray,
    panels: Sequence[Lines],
    bars: Bars,
    *,
    xlabel: str,
    marks: Sequence[float] = (),
    title: str = "",
) -> None:
    """Draw panels of lines over x f[n] and one of bars, over one legend.

    panels: a name has one colour in all; the first has every name.
    marks: where dotted vertical lines lie.
    """
    names = [name for panel in (*panels, bars) for name in panel[1]]
    style = styles.of_lines([*dict.fromkeys(names)])
    figure = styles.figure(3.3 * (len(panels) + 1), 4.0)
    *axes, last = figure.subplots(1, len(panels) + 1)
    for axis, panel in zip(axes, panels, strict=True):
        for mark in marks:
            axis.axvline(mark, color="0.7", lw=0.8, ls="dotted", zorder=0)
        if panel.level is not None:
            axis.axhline(panel.level, color="black", lw=0.8, ls="dashed", zorder=1)
        for name, (mean, error) in panel.lines.items():
            axis.plot(x, mean, label=name, lw=1.4, **style[name])
            band = {"color": style[name]["color"], "alpha": 0.2, "lw": 0}
            axis.fill_between(x, mean - error, mean + error, **band)
        if panel.log:
            axis.set_yscale("log")
            _label(axis.yaxis)
        axis.set(xlabel=xlabel, ylabel=panel.ylabel, xlim=(0, max(1, x.max())))
        axis.grid(alpha=0.3, axis="y")
    for y, (name, (mean, error)) in enumerate(bars.points.items()):
        colour = style[name]["color"]
        last.errorbar(mean, y, xerr=error, fmt="o", capsize=3, color=colour)
    last.set(xlabel=bars.xlabel, yticks=[], ylim=(len(bars.points) - 0.5, -0.5))
    last.grid(alpha=0.3, axis="x")
    means = [mean for mean, _ in bars.points.values()]
    if max(means) > 10 * min(means) > 0:
        last.set_xscale("log")
        _label(last.xaxis)
    marks_of, labels = axes[0].get_legend_handles_labels()
    figure.legend(marks_of, labels, loc="outside lower center", ncols=4, fontsize=9)
    figure.suptitle(textwrap.fill(title, 110), fontsize=10)
    save_figure(path, figure)


def _label(axis):
    """Few ticks of a logarithmic axis, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
