"""Tables as pair plots: every numeric column against every other, coloured by class."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxdiff.plots import styles

# A pair plot of more columns than this is too small to read.
MOST_COLUMNS = 6
# Panels of scatter plots in a row.
ACROSS = 3

Table = dict[str, np.ndarray]


def save_pairs(path: Path, panels: dict[str, Table]) -> None:
    """Pair plots side by side. panels: title -> {column: values f[n] or str[n]}.

    Numeric columns are plotted (the first MOST_COLUMNS); the first column of text gives
    the colours. Panels share their axes' limits, so that they can be compared.
    """
    first = next(iter(panels.values()))
    names = numeric(first)[:MOST_COLUMNS]
    kinds = _kinds(first, *panels.values())
    n = max(len(names), 1)
    side = max(1.7 * n, 3.2)  # inches: one small panel still has room for its title
    figure = Figure(figsize=(side * len(panels), side + 0.7), layout="constrained")
    parts = figure.subfigures(1, len(panels), squeeze=False)[0]
    limits = {c: _limits([p[c] for p in panels.values()]) for c in names}
    for part, (title, columns) in zip(parts, panels.items(), strict=True):
        part.suptitle(f"{title}: {len(next(iter(columns.values())))} rows")
        axes = part.subplots(n, n, squeeze=False)
        groups = {kind: _of_kind(columns, columns, kind) for kind in kinds}
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                axes[i, j].set(xlim=limits[column], ylim=limits[row])
                _draw(axes[i, j], row, column, groups, kinds)
                _label(axes[i, j], row * (j == 0), column * (i == n - 1))
    _legend(figure, kinds, _text(first), "outside lower center", ncols=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def save_scatters(
    path: Path, panels: dict[str, Table], colours: Table, *, title: str = ""
) -> None:
    """Two numeric columns of each panel, those closest to a line, on shared axes.

    panels: title -> table.  The first one chooses the columns: the most correlated.
    colours: a table of the same rows, whose first column of text gives the colours: the
    panels' own may have been destroyed.
    """
    x, y = _correlated(next(iter(panels.values())))
    kinds = _kinds(colours)
    across = min(len(panels), ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(3.3 * across, 3.1 * down + 0.4), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (name, columns) in zip(axes.flat, panels.items(), strict=False):
        for kind, style in kinds.items():
            rows = _of_kind(columns, colours, kind)
            axis.scatter(rows[x], rows[y], s=14, alpha=0.7, **style)
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.supxlabel(x, fontsize=10)
    figure.supylabel(y, fontsize=10)
    _legend(figure, kinds, _text(colours), "outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def numeric(table: Table) -> list[str]:
    """The names of the columns of numbers."""
    return [name for name, v in table.items() if np.asarray(v).dtype.kind in "fiu"]


def _draw(axis, row, column, groups, kinds):
    """Points of all classes; on the diagonal histograms, with a y axis of their own."""
    if row == column:
        counts = axis.twinx()
        counts.set_yticks([])
        low, high = axis.get_xlim()  # of all panels: their bins are the same
        bins = np.linspace(low, high, 21)
        for kind, columns in groups.items():
            colour = kinds[kind]["color"]
            counts.hist(columns[column], bins=bins, alpha=0.5, color=colour)
        return
    for kind, columns in groups.items():
        style = {"s": 9, "alpha": 0.6, "linewidths": 0, **kinds[kind]}
        axis.scatter(columns[column], columns[row], **style)


def _label(axis, row, column):
    """Names and numbers at the left and lower edges alone: "" for none."""
    axis.tick_params(labelsize=7, labelleft=bool(row), labelbottom=bool(column))
    axis.set_xlabel(column, fontsize=8)
    axis.set_ylabel(row, fontsize=8)


def _legend(figure, kinds, title, where, ncols=1):
    if len(kinds) > 1:
        marks = [Line2D([], [], linestyle="", label=k, **v) for k, v in kinds.items()]
        ncols = min(ncols, len(kinds))
        figure.legend(handles=marks, title=title, loc=where, ncols=ncols, fontsize=9)


def _correlated(table):
    names = numeric(table)
    z = np.stack([table[name] - np.mean(table[name]) for name in names])
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), np.finfo(float).tiny)
    # of equals the first pair
    pair = np.argmax(np.triu(np.abs(z @ z.T), k=1))
    return [names[i] for i in np.unravel_index(pair, (len(names),) * 2)]


def _text(table):
    """The first column of text, which gives the colours; None where all are numbers."""
    numbers = {*numeric(table)}
    return next((name for name in table if name not in numbers), None)


def _kinds(first, *tables):
    """The styles of the classes in any of the tables; of one class "" without text."""
    column = _text(first)
    if column is None:
        return styles.of_classes([""])
    found = {str(k) for table in (first, *tables) for k in table[column]}
    return styles.of_classes(sorted(found))


def _of_kind(table, colours, kind):
    """The rows of `table` where `colours`, a table of as many, has the class `kind`."""
    column = _text(colours)
    rows = slice(None) if column is None else colours[column] == kind
    return {name: values[rows] for name, values in table.items()}


def _limits(values):
    joined = np.concatenate(values)
    low, high = float(joined.min()), float(joined.max())
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
