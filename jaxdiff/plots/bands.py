"""Lines with their errors as bands, and single numbers with theirs as bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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


@styles.drawn
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
    num = len(panels) + 1
    above = styles.height_of_title(title, styles.width(3.5 * num))
    figure, (*axes, last) = styles.panels(num, 3.5, 0.65, most=num, above=above)
    for axis, panel in zip(axes, panels, strict=True):
        for mark in marks:
            axis.axvline(mark, color="0.7", lw=0.8, ls="dotted", zorder=0)
        if panel.level is not None:
            axis.axhline(panel.level, color="black", lw=0.8, ls="dashed", zorder=1)
        for name, (mean, error) in panel.lines.items():
            axis.plot(x, mean, label=name, **style[name])
            band = {"color": style[name]["color"], "alpha": 0.2, "lw": 0}
            axis.fill_between(x, mean - error, mean + error, **band)
        if panel.log:
            axis.set_yscale("log")
            styles.write_numbers(axis.yaxis)
        axis.set(xlabel=xlabel, ylabel=panel.ylabel, xlim=(0, max(1, x.max())))
        axis.grid(axis="y")
    for y, (name, (mean, error)) in enumerate(bars.points.items()):
        colour = style[name]["color"]
        last.errorbar(mean, y, xerr=error, fmt="o", color=colour)
    last.set(xlabel=bars.xlabel, yticks=[], ylim=(len(bars.points) - 0.5, -0.5))
    last.grid(axis="x")
    styles.scale(last.xaxis, [mean for mean, _ in bars.points.values()])
    styles.legend_of(figure, axes)
    figure.suptitle(title)
    save_figure(path, figure)
