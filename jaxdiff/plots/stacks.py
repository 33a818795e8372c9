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

    log: on a logarithmic axis, whose range is that of the lines without the points.
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
    wrapped = [
        {name: texts.wrap(name, width - 1.2, size) for name in panel.lines}
        for panel in panels
    ]
    above = [sum(texts.height_of(t, size) for t in w.values()) for w in wrapped]
    top, high = styles.height_of_title(title, width), max(0.3 * width, 1.2)
    figure = styles.figure(width, sum(above) + (high + 0.2) * len(panels) + top + 0.3)
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, panel, named in zip(axes, panels, wrapped, strict=True):
        for name, style in styles.of_lines([*panel.lines]).items():
            _draw_line(axis, panel.lines[name], label=named[name], **style)
        if panel.log:
            _set_log(axis, [y for x, y, *_ in panel.lines.values() if len(x) > 1])
        if shaded:
            axis.axvspan(*shaded, color="0.5", alpha=0.2, linewidth=0)
        axis.set_ylabel(panel.ylabel)
        axis.grid()
        axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0))
    axes[-1].set_xlabel(xlabel)
    figure.suptitle(title)
    figure.align_ylabels(axes)
    save_figure(path, figure)


def _set_log(axis, lines):
    values = np.concatenate(lines)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = values.min() / 1.5, values.max() * 1.5
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    styles.write_numbers(axis.yaxis)


def _draw_line(axis, line, *, color, **style):
    x, y, *error = (np.asarray(a, float) for a in line)
    if len(x) == 1:
        axis.errorbar(x, y, *error, fmt="o", color=color, label=style["label"])
        return
    axis.plot(x, y, color=color, **style)
    if error:
        axis.fill_between(x, y - error[0], y + error[0], color=color, alpha=0.25, lw=0)
