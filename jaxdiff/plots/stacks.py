"""Panels one above the other on the same horizontal axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np

from jaxdiff.plots import styles, texts
from jaxdiff.plots.saving import save_figure


class Panel(NamedTuple):
    """lines: name -> (x, y) or (x, y, its standard error), f[n]; n = 1 is a point.

    log: on a logarithmic axis, whose range is that of the lines without the points. A
    point out of it is a triangle at the edge.
    """

    ylabel: str
    lines: dict[str, tuple[np.ndarray, ...]]
    log: bool = False


@styles.drawn
def save_stack(
    path: Path,
    panels: Sequence[Panel],
    *,
    xlabel: str,
    title: str = "",
    shaded: tuple[float, float] | None = None,
) -> None:
    """Draw panels of lines, with their errors, below their names.

    shaded: a range of x that the title is about.
    """
    width, size = styles.width(6.0), mpl.rcParams["legend.fontsize"]
    limits = [_range(p) if p.log else (-np.inf, np.inf) for p in panels]
    wrapped = [
        {
            name: texts.wrap(name + _outside(line, *limit)[0], width - 1.2, size)
            for name, line in panel.lines.items()
        }
        for panel, limit in zip(panels, limits, strict=True)
    ]
    above = [sum(texts.height_of(t, size) for t in w.values()) for w in wrapped]
    top, high = styles.height_of_title(title, width), max(0.3 * width, 1.2)
    figure = styles.figure(width, sum(above) + (high + 0.2) * len(panels) + top + 0.3)
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, panel, named, limit in zip(axes, panels, wrapped, limits, strict=True):
        for name, style in styles.of_lines([*panel.lines]).items():
            _draw_line(axis, panel.lines[name], limit, label=named[name], **style)
        if panel.log:
            axis.set_yscale("log")
            axis.set_ylim(*limit)
            styles.write_numbers(axis.yaxis)
        if shaded:
            axis.axvspan(*shaded, color="0.5", alpha=0.2, linewidth=0)
        axis.set_ylabel(panel.ylabel)
        axis.grid()
        axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0))
    axes[-1].set_xlabel(xlabel)
    figure.suptitle(title)
    figure.align_ylabels(axes)
    save_figure(path, figure)


def _range(panel):
    values = np.concatenate([y for x, y, *_ in panel.lines.values() if len(x) > 1])
    values = values[np.isfinite(values) & (values > 0)]
    return values.min() / 1.5, values.max() * 1.5


def _outside(line, low, high):
    """Of a point out of the range: words, its place on the edge, and a marker."""
    y = line[1][0] if len(line[0]) == 1 else np.nan
    if y < low:
        return " (below the axis)", low, "v"
    return (" (above the axis)", high, "^") if y > high else ("", y, "")


def _draw_line(axis, line, limit, *, color, **style):
    x, y, *error = (np.asarray(a, float) for a in line)
    _, edge, marker = _outside(line, *limit)
    if marker:
        axis.plot(x, edge, marker, color=color, clip_on=False, label=style["label"])
        return
    if len(x) == 1:
        axis.errorbar(x, y, *error, fmt="o", color=color, label=style["label"])
        return
    axis.plot(x, y, color=color, **style)
    if error:
        axis.fill_between(x, y - error[0], y + error[0], color=color, alpha=0.25, lw=0)
