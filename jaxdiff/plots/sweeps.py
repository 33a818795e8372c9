"""Figures over what was varied: lines over numbers, points beside names."""

from pathlib import Path

import numpy as np

from jaxdiff.plots import styles, texts
from jaxdiff.plots.saving import save_figure

# Points are marked on lines of fewer; values are ticks if they are no more.
FEW, MOST_TICKS = 20, 6
# Of a line or of points: x, numbers or names; y f[n]; errors f[n], 0 for none.
Series = tuple[list[float | str], np.ndarray, np.ndarray]


@styles.drawn
def save_swept(
    path: Path, panels: dict[str, dict[str, Series]], *, xlabel: str
) -> None:
    """Draw {label of the figure: {name: series}} side by side, with error bars.

    Numbers are along a horizontal axis, logarithmic if they span a decade. Names are
    below one another, and a dashed line is at the first one's figure.
    """
    first = next(iter(panels.values()))
    names = [*first]
    numeric = all(isinstance(x, int | float) for s in first.values() for x in s[0])
    rows = list(dict.fromkeys(str(x) for some in first.values() for x in some[0]))
    across = styles.across(len(panels), 2.5, 3)
    down, line = -(-len(panels) // across), 1.5 * texts.small() / 72
    side = 0.0 if numeric else max(texts.width_of(row, texts.small()) for row in rows)
    width = styles.width(side + (3.9 if len(panels) > 1 else 5.5) * across)
    high = 0.7 * width / across
    if not numeric:
        high = 0.6 + line * len(rows) * (1 + 0.6 * len(names))
    figure = styles.figure(width, down * high)
    grid = figure.subplots(down, across, sharey=not numeric, squeeze=False)
    axes = grid.flat[: len(panels)]
    for axis in grid.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (label, some) in zip(axes, panels.items(), strict=True):
        if numeric:
            _lines(axis, some)
            axis.set(xlabel=xlabel, ylabel=label)
        else:
            _points(axis, some, rows)
            axis.set(xlabel=label)
        axis.grid(which="both" if numeric else "major")
    if not numeric:
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].set_ylim(len(rows) - 0.5, -0.5)
        for first in axes[::across]:
            first.set_ylabel(xlabel)
    if len(names) > 1:
        styles.legend_of(figure, axes)
    save_figure(path, figure)


@styles.drawn
def save_losses(
    path: Path, lines: dict[str, list[tuple[np.ndarray, np.ndarray]]]
) -> None:
    """Draw {name: [(steps, losses)]}: those of one name, its seeds, in one style."""
    figure = styles.figure(7.0, 4.5)
    axis = figure.subplots()
    for name, style in styles.of_lines([*lines]).items():
        for i, (steps, losses) in enumerate(lines[name]):
            mark = "o" if len(steps) < FEW else None
            axis.plot(steps, losses, marker=mark, label="" if i else name, **style)
    every = [float(y) for some in lines.values() for _, losses in some for y in losses]
    styles.scale(axis.yaxis, every)
    label = "training loss, mean since the last point (lower is better)"
    axis.set(xlabel="optimiser step", ylabel=label)
    axis.grid(which="both")
    if [*lines] != [""]:
        styles.legend_of(figure, [axis])
    save_figure(path, figure)


def _lines(axis, some):
    every = [x for xs, _, _ in some.values() for x in xs]
    for name, style in styles.of_lines([*some]).items():
        order = np.argsort(some[name][0])
        x, y, error = (np.asarray(part)[order] for part in some[name])
        axis.errorbar(x, y, error, marker="o", label=name, **style)
    styles.scale(axis.xaxis, every)
    values = sorted({*every})
    if len(values) <= MOST_TICKS:
        axis.set_xticks(values, [f"{x:.4g}" for x in values])
        axis.minorticks_off()


def _points(axis, some, rows):
    spread = 0.3 * (len(some) > 1)
    places = np.linspace(-spread, spread, len(some))
    marks = styles.of_classes([*some]).items()
    for place, (name, style) in zip(places, marks, strict=True):
        names, x, error = some[name]
        y = [rows.index(str(one)) + place for one in names]
        axis.errorbar(x, y, xerr=error, linestyle="", markersize=5, label=name, **style)
        if len(some) == 1 and len(rows) > 1:
            axis.axvline(x[0], color="0.5", linestyle="dashed", linewidth=1, zorder=0)
