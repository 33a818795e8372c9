"""How the columns of a table become columns of x, and back.

A numeric column is one column of x. A categorical column is one-hot, with one column of
x per category. Every column of x is standardised, one-hot columns too, as (value -
mean) / std with the population std, so that noise of one scale suits them all.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Columns = Mapping[str, np.ndarray]

# A number as text.
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

# Standard deviations from the mean that a given number may be.
FARTHEST = 1e6


@dataclass(frozen=True)
class Column:
    """One column of the table, which is x[:, start:stop].

    categories: sorted, one per column of x; () for a numeric column
    decimals:   of a numeric column: digits after the point that decode rounds to; None
                does not round
    """

    name: str
    start: int
    stop: int
    categories: tuple[str, ...] = ()
    decimals: int | None = None


@dataclass(frozen=True)
class Layout:
    """The whole table: its columns in order; mean and std f64[d] of x in data units."""

    columns: tuple[Column, ...]
    mean: np.ndarray
    std: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def width(self) -> int:
        """The number of columns of x."""
        return len(self.mean)

    def __getitem__(self, name: str) -> Column:
        """The column called `name`.

        Errors: ValueError with the nearest name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        near = difflib.get_close_matches(name, self.names, 1, 0.0)[0]
        raise ValueError(
            f"the table has no column {name!r}; did you mean {near!r}? "
            f"It has: {', '.join(self.names)}"
        )


def decode(
    layout: Layout, x: np.ndarray, *, rounded: bool = True
) -> dict[str, np.ndarray]:
    """f[b, d] in model units -> {name: f64[b] in data units, or str[b] by argmax}.

    rounded: round numbers to their column's decimals, as the data were written down.
    """
    x, out = np.asarray(x, np.float64), {}
    for column in layout.columns:
        values = decode_column(layout, column, x, rounded=rounded)
        named = np.array(column.categories)[values] if column.categories else values
        out[column.name] = named
    return out


def decode_column(
    layout: Layout, column: Column, x: Any, *, rounded: bool = True
) -> Any:
    """f[b, d] of numpy or JAX -> f[b] in data units, or i[b], numbers of categories."""
    block = slice(column.start, column.stop)
    raw = x[:, block] * layout.std[block] + layout.mean[block]
    if column.categories:
        return raw.argmax(axis=1)
    if rounded and column.decimals is not None:
        return raw[:, 0].round(column.decimals) + 0.0  # never -0
    return raw[:, 0]


def encode_rows(
    layout: Layout, columns: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Known columns as x, and which columns of x are known; the inverse of decode.

    Args:
        columns: {name: b values, or one value for all rows}. Numeric columns take
            numbers, or text that reads as a number; the others take category names.
            Columns of the table that are left out are unknown.
    Returns: x f32[b, d] in model units, 0 where unknown; known bool[d].
    Errors:  ValueError for a column or category that the table does not have, a
             value that is not a finite number, or columns of different length.
    """
    values = {
        name: np.atleast_1d(np.asarray(v)).tolist() for name, v in columns.items()
    }
    lengths = {name: len(v) for name, v in values.items()}
    rows = max(lengths.values(), default=1)
    for name, n in lengths.items():
        if n not in (1, rows):
            raise ValueError(
                f"column {name!r} has {n} values where another has {rows}; give one "
                "value for all rows, or as many as the longest column"
            )
    raw = np.tile(layout.mean, (rows, 1))
    known = np.zeros(layout.width, bool)
    for name, value in values.items():
        column = layout[name]
        block = slice(column.start, column.stop)
        encode = _one_hot if column.categories else _numbers
        raw[:, block] = encode(column, value)
        known[block] = True
        far = np.abs(raw[:, block] - layout.mean[block]) / layout.std[block]
        if far.max() > FARTHEST:
            raise ValueError(
                f"column {name!r}: {value[far.max(1).argmax()]} is "
                f"{far.max():.2g} standard deviations from the data's mean, "
                f"{layout.mean[block][0]:.4g}; give a number near the data's"
            )
    return ((raw - layout.mean) / layout.std).astype(np.float32), known


def _one_hot(column: Column, value: Sequence[Any]) -> np.ndarray:
    place = {category: i for i, category in enumerate(column.categories)}
    for v in value:
        if str(v) not in place:
            raise ValueError(
                f"column {column.name!r} has no category {str(v)!r}; it has: "
                f"{', '.join(column.categories)}"
            )
    return np.eye(len(place))[[place[str(v)] for v in value]]


def _numbers(column: Column, value: Sequence[Any]) -> np.ndarray:
    numbers = [as_number(v) for v in value]
    for v, number in zip(value, numbers, strict=True):
        if number is None:
            raise ValueError(
                f"column {column.name!r} is numeric, got {v!r}; give a finite number"
            )
    return np.array(numbers, np.float64)[:, None]


def as_number(value: Any) -> float | None:
    """The finite number that `value` is, or reads as; None if there is none."""
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        return None  # float() reads "1_000", "infinity" and digits of other scripts
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None
