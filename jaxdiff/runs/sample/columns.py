"""Columns of a table that `--fix` gives, and a summary of the others given them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.data import layout as layouts
from jaxdiff.data.source import Columns, Source

# The outer two bound the interval, which holds nine rows of ten.
QUANTILES = (0.05, 0.5, 0.95)


class GivenColumns(NamedTuple):
    """texts:  {column: its value as written}
    values: f32[1, d] in model units, 0 where unknown.  mask: bool[d], True where known.
    """

    texts: dict[str, str]
    values: np.ndarray
    mask: np.ndarray

    @property
    def title(self) -> str:
        return ", ".join(f"{name} = {value}" for name, value in self.texts.items())


def parse(source: Source, texts: Sequence[str]) -> GivenColumns:
    """The columns that `--fix COLUMN=VALUE ...` gives.

    The column is the longest name that the text begins with, so that both names and
    categories ("income=<=50K") may hold "=".

    Errors: ValueError for data that is no table, a text without "=", an unknown column
            or category, a number that is none, a column given twice, or none left free.
    """
    layout, given = source.layout, {}
    if layout is None:
        raise ValueError("--fix is for tables of columns; this model has none")
    for text in texts:
        require("=" in text, f"--fix {text!r} is not COLUMN=VALUE, as in class=setosa")
        starts = [name for name in layout.names if text.startswith(f"{name}=")]
        name = max(starts, key=len, default=text.rpartition("=")[0])
        require(
            name not in given,
            f"--fix gives column {name!r} twice; a column has one value",
        )
        given[name] = text[len(name) + 1 :].strip()
    try:
        values, mask = layouts.encode_rows(layout, given)
    except ValueError as error:
        raise ValueError(f"--fix: {error}") from error
    require(
        len(given) < len(layout.columns),
        "--fix gives every column; leave at least one free to be sampled",
    )
    return GivenColumns(given, values, mask)


def restore_given(
    source: Source, given: GivenColumns, table: Columns
) -> dict[str, np.ndarray]:
    """The decoded table with the given columns as written, to their own decimals.

    Model units are float32: through them a number of many digits would change in its
    seventh digit.
    """
    assert source.layout, "`parse` refuses data without a layout"
    out = dict(table)
    for name, text in given.texts.items():
        column = source.layout[name]
        value: Any = text
        if not column.categories:
            value = float(text)
            value = value if column.decimals is None else round(value, column.decimals)
        out[name] = np.full(len(table[name]), value)
    return out


def matching_rows(source: Source, given: GivenColumns) -> dict[str, np.ndarray] | None:
    """The real rows of the given categories; None where there are none, and where a
    number is given, since hardly any row has exactly that number.
    """
    assert source.layout, "`parse` refuses data without a layout"
    if not all(source.layout[name].categories for name in given.texts):
        return None
    real = source.decode(source[np.arange(len(source))]["x"])
    rows = np.all([real[name] == v for name, v in given.texts.items()], axis=0)
    return {name: v[rows] for name, v in real.items()} if rows.any() else None


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 5 % and 95 % quantiles of f[n]."""
    low, high = np.quantile(values, [QUANTILES[0], QUANTILES[-1]])
    return float(low), float(high)


def inside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """bool[n]: within the interval, its ends included.

    A hair wider: tenths of a centimetre are no binary fractions, and quantiles of
    equal numbers are interpolated.
    """
    hair = 1e-9 * max(abs(low), abs(high))
    return (values >= low - hair) & (values <= high + hair)


def describe(
    given: GivenColumns, generated: Columns, real: Columns | None
) -> list[str]:
    """Lines: shares of a free column's categories, or mean, quantiles and coverage.

    generated, real: {column: f64[n] or str[n]}; real: of `matching_rows`.
    """
    lines, numbers = [f"given {given.title}:"], []
    for name in (n for n in generated if n not in given.texts):
        values = np.asarray(generated[name])
        if values.dtype.kind == "f":
            numbers.append(_row(name, values, None if real is None else real[name]))
        else:
            kinds, counts = np.unique(values, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            shares = (f"{kinds[i]} {counts[i] / len(values):.1%}" for i in order)
            lines.append(f"  {name}: {', '.join(shares)}")
    if numbers:
        head = ["", "mean", *(f"{q:.0%}" for q in QUANTILES)]
        if real is not None:
            size = len(next(iter(real.values())))
            head.append(f"of {size} real rows in 5%-95%")
        table = [head, *numbers]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        for row in table:
            cells = [row[0].ljust(widths[0])]
            cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
            lines.append("  " + "  ".join(cells))
    return lines


def _row(name, values, real):
    ends = np.quantile(values, QUANTILES)
    row = [name, *(f"{v:.4g}" for v in (values.mean(), *ends))]
    if real is not None:
        row.append(f"{inside(real, *interval(values)).mean():.1%}")
    return row
