"""Pair plots of tables: every numeric column against every other, coloured by class."""

from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure

# A pair plot of more columns than this is too small to read.
MOST_COLUMNS = 6
# Panels of scatter plots in a row.
ACROSS = 3
# A column of no more distinct values is drawn as bars: it has no smooth density.
FEW_VALUES = 10
# What is left free around the rows of the first panel, of their range.
MARGIN = 0.1

Table = dict[str, np.ndarray]


@styles.drawn
def save_pairs(path: Path, panels: dict[str, Table]) -> dict[str, int]:
    """Draw pair plots side by side, and the density of each column on the diagonal.

    Numeric columns are plotted, at most MOST_COLUMNS. The first column of text gives
    the colours. All panels have the axes of the first: its rows, the real ones, are all
    inside, and of the others the title counts those that are not.

    Args:    panels: title -> {column: values f[n] or str[n]}.
    Returns: title -> how many of its rows lie outside the axes.
    """
    first = next(iter(panels.values()))
    names = numeric(first)[:MOST_COLUMNS]
    classes = _class_styles(first, *panels.values())
    n = max(len(names), 1)
    across = styles.across(len(panels), 3.2, 2)
    # inches: one small panel still has room for its title
    side = styles.width(max(1.5 * n, 3.2) * across) / across
    down = -(-len(panels) // across)
    figure = styles.figure(side * across, (side + 0.2) * down)
    parts = figure.subfigures(down, across, squeeze=False).flat
    limits = {name: _limits(first[name]) for name in names}
    outside = {title: _outside(table, limits) for title, table in panels.items()}
    groups = {title: _by_class(table, classes) for title, table in panels.items()}
    heights = {c: _heights(c, groups, limits[c]) for c in names}
    tops = {c: _top(heights[c]) for c in names}
    for part, title in zip(parts, panels, strict=False):
        part.suptitle(_title(title, panels[title], outside[title]))
        axes = part.subplots(n, n, squeeze=False)
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                axis = axes[i, j]
                axis.set(xlim=limits[column], ylim=limits[row])
                if row == column:
                    _draw_heights(axis, heights[row][title], tops[row], classes)
                else:
                    _draw_points(axis, row, column, groups[title], classes)
                _label(axis, row * (j == 0), column * (i == n - 1))
    _legend(figure, classes, _text(first))
    save_figure(path, figure)
    return outside


@styles.drawn
def save_scatters(
    path: Path, panels: dict[str, Table], colours: Table, *, title: str = ""
) -> None:
    """Draw two numeric columns of each panel, on shared axes.

    The first panel chooses the columns: the most correlated ones.

    Args: panels: title -> table.
          colours: a table of the same rows, whose first column of text gives the
          colours; the panels' own text may have been destroyed by noise.
    """
    x, y = _correlated(next(iter(panels.values())))
    classes = _class_styles(colours)
    across = styles.across(len(panels), 1.05, ACROSS)
    down, width = -(-len(panels) // across), styles.width(2.6 * across)
    figure = styles.figure(width, down * (width / across + 0.2) + 0.4)
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, columns) in zip(axes.flat, panels.items(), strict=False):
        for label, style in classes.items():
            rows = _of_class(columns, colours, label)
            axis.scatter(rows[x], rows[y], s=8, alpha=0.6, linewidths=0, **style)
        axis.set_title(name)
        axis.grid()
    if title:
        figure.suptitle(title)
    for axis in axes[-1]:
        axis.set_xlabel(x)
    for axis in axes[:, 0]:
        axis.set_ylabel(y)
    _legend(figure, classes, _text(colours))
    save_figure(path, figure)


def numeric(table: Table) -> list[str]:
    """The names of the numeric columns."""
    return [name for name, v in table.items() if np.asarray(v).dtype.kind in "fiu"]


def _title(name, table, outside):
    num = len(next(iter(table.values())))
    return f"{name}: {num} rows" + f", {outside} outside the axes" * bool(outside)


def _draw_points(axis, row, column, groups, classes):
    for label, columns in groups.items():
        style = {"s": 5, "alpha": 0.6, "linewidths": 0, **classes[label]}
        axis.scatter(columns[column], columns[row], **style)


def _draw_heights(axis, heights, top, classes):
    """Curves, or bars side by side, on a second y axis from 0 to `top`."""
    beside = axis.twinx()
    beside.set(ylim=(0, 1.05 * top), yticks=[])
    for k, (label, (x, height, width)) in enumerate(heights.items()):
        colour = classes[label]["color"]
        if width:
            left = x + width * (k / len(heights) - 0.5)
            part = width / len(heights)
            beside.bar(left, height, part, align="edge", color=colour, alpha=0.7)
        else:
            beside.fill_between(x, height, color=colour, alpha=0.2, linewidth=0)
            beside.plot(x, height, color=colour)


def _heights(column, panels, limits):
    """{title: {class: (x f[k], heights f[k], width of a bar or 0 for a curve)}}.

    The density of a class is f_c(x) n_c / n: it has the class's share of the rows as
    its area, and the classes sum to the density of all rows. One bandwidth, by Scott's
    rule for a class of the first panel, smooths every curve of a column alike. Of a
    column with FEW_VALUES, bars have the share of the rows that are nearest to each.
    """
    first = next(iter(panels.values()))
    values = [rows[column] for rows in first.values() if len(rows[column])]
    num, distinct = sum(map(len, values)), np.unique(np.concatenate(values))
    spread = np.sqrt(sum(len(v) * np.var(v) for v in values) / num)
    bandwidth = 1.06 * float(spread) * (num / len(values)) ** -0.2
    low, high = limits
    if bandwidth and len(distinct) > FEW_VALUES:
        x, width = np.linspace(low, high, 200), 0.0
    else:
        x = distinct.astype(float)
        gaps = np.diff([2 * low - x[0], *x, 2 * high - x[-1]])  # no bar is cut off
        width = 0.8 * float(gaps.min())
    edges = [low, *(x[1:] + x[:-1]) / 2, high]

    def height(v, num):
        if width:
            return np.histogram(v, edges)[0] / num
        if not len(v):
            return np.zeros_like(x)
        from sklearn.neighbors import KernelDensity  # slow to import

        kernel = KernelDensity(bandwidth=bandwidth).fit(np.asarray(v)[:, None])
        return np.exp(kernel.score_samples(x[:, None])) * len(v) / num

    heights = {}
    for title, rows in panels.items():
        num = sum(len(some[column]) for some in rows.values())
        heights[title] = {
            k: (x, height(v[column], num), width) for k, v in rows.items()
        }
    return heights


def _top(panels):
    return max(float(h.max()) for rows in panels.values() for _, h, _ in rows.values())


def _label(axis, row, column):
    """Label the left and lower edges only; "" is no label."""
    axis.tick_params(labelleft=bool(row), labelbottom=bool(column))
    axis.set_xlabel(column)
    axis.set_ylabel(row)


def _legend(figure, classes, title):
    if len(classes) > 1:
        marks = [Line2D([], [], linestyle="", **style) for style in classes.values()]
        styles.legend(figure, marks, [*classes], title)


def _correlated(table):
    names = numeric(table)
    z = np.stack([table[name] - np.mean(table[name]) for name in names])
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), np.finfo(float).tiny)
    # argmax takes the first of equal pairs
    pair = np.argmax(np.triu(np.abs(z @ z.T), k=1))
    return [names[i] for i in np.unravel_index(pair, (len(names),) * 2)]


def _text(table):
    """The first column of text, which gives the colours; None if there is none."""
    numbers = {*numeric(table)}
    return next((name for name in table if name not in numbers), None)


def _class_styles(first, *tables):
    """The style of each class in any of the tables; without text, of one class ""."""
    column = _text(first)
    if column is None:
        return styles.of_classes([""])
    labels = {str(k) for table in (first, *tables) for k in table[column]}
    return styles.of_classes(sorted(labels))


def _of_class(table, colours, label):
    """The rows of `table` whose class is `label` in `colours`, a table of as many."""
    column = _text(colours)
    rows = slice(None) if column is None else colours[column] == label
    return {name: values[rows] for name, values in table.items()}


def _by_class(table, classes):
    return {label: _of_class(table, table, label) for label in classes}


def _limits(values):
    low, high = float(np.min(values)), float(np.max(values))
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _outside(table, limits):
    """How many rows lie outside the limits of any column."""
    far = [(table[c] < low) | (table[c] > high) for c, (low, high) in limits.items()]
    return int(np.any(far, axis=0).sum())
