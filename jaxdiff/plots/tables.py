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

Table = dict[str, np.ndarray]


def save_pairs(path: Path, panels: dict[str, Table]) -> None:
    """Draw pair plots side by side.

    Numeric columns are plotted, at most MOST_COLUMNS. The first column of text gives
    the colours. All panels share the limits of their axes, so that they can be
    compared.

    Args: panels: title -> {column: values f[n] or str[n]}.
    """
    first = next(iter(panels.values()))
    names = numeric(first)[:MOST_COLUMNS]
    classes = _class_styles(first, *panels.values())
    n = max(len(names), 1)
    side = max(1.7 * n, 3.2)  # inches: one small panel still has room for its title
    figure = styles.figure(side * len(panels), side + 0.7)
    parts = figure.subfigures(1, len(panels), squeeze=False)[0]
    limits = {c: _limits([p[c] for p in panels.values()]) for c in names}
    for part, (title, columns) in zip(parts, panels.items(), strict=True):
        part.suptitle(f"{title}: {len(next(iter(columns.values())))} rows")
        axes = part.subplots(n, n, squeeze=False)
        groups = {label: _of_class(columns, columns, label) for label in classes}
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                axes[i, j].set(xlim=limits[column], ylim=limits[row])
                _draw(axes[i, j], row, column, groups, classes)
                _label(axes[i, j], row * (j == 0), column * (i == n - 1))
    _legend(figure, classes, _text(first), "outside lower center", ncols=5)
    save_figure(path, figure)


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
    across = min(len(panels), ACROSS)
    down = -(-len(panels) // across)
    figure = styles.figure(3.3 * across, 3.1 * down + 0.4)
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, columns) in zip(axes.flat, panels.items(), strict=False):
        for label, style in classes.items():
            rows = _of_class(columns, colours, label)
            axis.scatter(rows[x], rows[y], s=14, alpha=0.7, **style)
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)
    _legend(figure, classes, _text(colours), "outside right upper")
    save_figure(path, figure)


def numeric(table: Table) -> list[str]:
    """The names of the numeric columns."""
    return [name for name, v in table.items() if np.asarray(v).dtype.kind in "fiu"]


def _draw(axis, row, column, groups, classes):
    """Draw points of all classes, or on the diagonal histograms on a second y axis."""
    if row == column:
        counts = axis.twinx()
        counts.set_yticks([])
        low, high = axis.get_xlim()  # panels share limits and bins
        bins = np.linspace(low, high, 21)
        for label, columns in groups.items():
            colour = classes[label]["color"]
            counts.hist(columns[column], bins=bins, alpha=0.5, color=colour)
        return
    for label, columns in groups.items():
        style = {"s": 9, "alpha": 0.6, "linewidths": 0, **classes[label]}
        axis.scatter(columns[column], columns[row], **style)


def _label(axis, row, column):
    """Label the left and lower edges only; "" is no label."""
    axis.tick_params(labelsize=7, labelleft=bool(row), labelbottom=bool(column))
    axis.set_xlabel(column, fontsize=8)
    axis.set_ylabel(row, fontsize=8)


def _legend(figure, classes, title, where, ncols=1):
    if len(classes) > 1:
        marks = [Line2D([], [], linestyle="", label=k, **v) for k, v in classes.items()]
        ncols = min(ncols, len(classes))
        figure.legend(handles=marks, title=title, loc=where, ncols=ncols, fontsize=9)


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


def _limits(values):
    joined = np.concatenate(values)
    low, high = float(joined.min()), float(joined.max())
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
