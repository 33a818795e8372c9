"""Figures over fields of a config: a panel for each field and figure."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


class Curve(NamedTuple):
    """x: values of a field.  y, and its lowest and highest value: f[n]"""

    x: list[Any]
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


Panels = dict[str, dict[str, Curve]]


@styles.drawn
def save_growth(path: Path, panels: Panels, time: str) -> None:
    """Draw {figure: {field: curve}}, a panel each: those of a field are neighbours.

    Numbers are at their place, and different shapes at that of their number of values.
    Other values are side by side. Where an axis spans a decade it is logarithmic.
    time: the figure in whose panels a dashed line grows in proportion to the field.
    """
    fields = [*next(iter(panels.values()))]
    places = [(field, figure) for field in fields for figure in panels]
    across = styles.across(len(places), 1.5, len(panels))
    down, width = -(-len(places) // across), styles.width(2.7 * across)
    figure = styles.figure(width, down * 0.8 * width / across)
    grid = figure.subplots(down, across, squeeze=False)
    for axis in grid.flat[len(places) :]:
        axis.axis("off")
    for axis, (field, label) in zip(grid.flat, places, strict=False):
        _draw(axis, panels[label][field], label == time)
        axis.set(xlabel=field, ylabel=label)
        axis.grid(which="major")
    styles.legend_of(figure, grid.flat)
    save_figure(path, figure)


def _draw(axis, curve, proportional):
    names, x = _places(curve.x)
    numeric = x is not None
    x = x if numeric else np.arange(len(names))
    order = np.argsort(x)
    x, y, names = x[order], curve.y[order], [names[i] for i in order]
    errors = np.maximum(0.0, [y - curve.low[order], curve.high[order] - y])
    style = {"color": styles.COLOURS[0], "marker": "o", "label": "measured"}
    axis.errorbar(x, y, errors, linestyle="solid" if numeric else "", **style)
    if not numeric or len(x) == 1:
        axis.set_xlim(x[0] - 0.5 - 0.1 * x[-1], x[-1] + 0.5 + 0.1 * x[-1])
    else:
        styles.scale(axis.xaxis, x)
    styles.scale(axis.yaxis, y)
    if axis.get_yscale() == "linear":
        axis.set_ylim(0.0, 1.1 * curve.high.max())
    if proportional and numeric and len(x) > 1 and x[0] > 0:
        limits, many = axis.get_ylim(), np.geomspace(x[0], x[-1], 100)
        line = {"color": "0.6", "linestyle": "dashed", "linewidth": 1.0}
        axis.plot(many, y[0] * many / x[0], label="in proportion", **line)
        axis.set_ylim(limits)
    axis.set_xticks(x, names)
    axis.minorticks_off()


def _places(values):
    """What values are called, and where they are, None if they are no numbers."""
    if all(type(v) in (int, float) for v in values):
        return [f"{v:.6g}" for v in values], np.array(values, float)
    if not all(isinstance(v, tuple) for v in values):
        return [str(v) for v in values], None
    names = ["x".join(map(str, v)) or "none" for v in values]
    numbers = all(type(n) is int for v in values for n in v)
    sizes = [float(np.prod(v)) for v in values] if numbers else []
    same = len({len(v) for v in values}) == 1 and len({*sizes}) == len(values)
    return names, np.array(sizes) if same else None
