"""Figures over fields of a config: a panel for each field and figure."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


class Curve(NamedTuple):
    """x: numbers, or names.  y, and its lowest and highest value: f[n]"""

    x: list[float | str]
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


Panels = dict[str, dict[str, Curve]]


@styles.drawn
def save_growth(path: Path, panels: Panels) -> None:
    """Draw {figure: {field: curve}}: a row of panels a field, on logarithmic axes.

    The grey line grows in proportion to the field, from the first point. Names are at
    even distances, without one.
    """
    fields = [*next(iter(panels.values()))]
    places = [(field, figure) for field in fields for figure in panels]
    across = styles.across(len(places), 1.6, len(panels))
    down, width = -(-len(places) // across), styles.width(2.7 * across)
    figure = styles.figure(width, down * 0.8 * width / across)
    grid = figure.subplots(down, across, squeeze=False)
    for axis in grid.flat[len(places) :]:
        axis.axis("off")
    for axis, (field, label) in zip(grid.flat, places, strict=False):
        _draw(axis, panels[label][field])
        axis.set(xlabel=field, ylabel=label)
        axis.grid(which="both")
    save_figure(path, figure)


def _draw(axis, curve):
    numeric = all(not isinstance(x, str) for x in curve.x)
    x = np.array(curve.x, float) if numeric else np.arange(len(curve.x))
    order = np.argsort(x)
    x, y = x[order], curve.y[order]
    errors = np.maximum(0.0, [y - curve.low[order], curve.high[order] - y])
    if numeric and x[0] > 0:
        axis.plot(x, y[0] * x / x[0], color="0.6", linestyle="dashed", linewidth=1)
        axis.set_xscale("log")
    axis.errorbar(x, y, errors, marker="o", color=styles.COLOURS[0])
    if min(y) > 0:
        axis.set_yscale("log")
        _widen(axis.yaxis)
        styles.write_numbers(axis.yaxis)
    names = [f"{v:.4g}" for v in x] if numeric else [curve.x[i] for i in order]
    axis.set_xticks(x, names)
    axis.minorticks_off()


def _widen(axis):
    """A range of less than a factor of four has too few ticks to read."""
    low, high = axis.get_view_interval()
    if high < 4 * low:
        middle = np.sqrt(low * high)
        axis.axes.set_ylim(middle / 2, middle * 2)
