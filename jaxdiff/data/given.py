"""Columns of a table whose values are given, and the rows that have them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.data import layout as layouts
from jaxdiff.data.layout import Columns, Layout
from jaxdiff.data.source import Source, real_rows


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
    """The columns that texts COLUMN=VALUE give.

    The column is the longest name that the text begins with, so that both names and
    categories ("income=<=50K") may hold "=".

    Errors: ValueError for data that is no table, a text without "=", an unknown column
            or category, a number that is none, a column given twice, or none left free.
    """
    layout, given = _layout(source), {}
    for text in texts:
        if "=" not in text:
            raise ValueError(f"{text!r} is not COLUMN=VALUE, as in class=setosa")
        starts = [name for name in layout.names if text.startswith(f"{name}=")]
        name = max(starts, key=len, default=text.rpartition("=")[0])
        if name in given:
            raise ValueError(f"column {name!r} is given twice; leave one of them out")
        given[name] = text[len(name) + 1 :].strip()
    values, mask = layouts.encode_rows(layout, given)
    if len(given) == len(layout.columns):
        raise ValueError("every column is given; leave at least one free to be sampled")
    return GivenColumns(given, values, mask)


def restore(
    source: Source, given: GivenColumns, table: Columns
) -> dict[str, np.ndarray]:
    """The decoded table with the given columns as written, to their own decimals.

    Model units are float32: through them a number of many digits would change in its
    seventh digit.
    """
    layout, out = _layout(source), dict(table)
    for name, text in given.texts.items():
        column, value = layout[name], text
        if not column.categories:
            number: Any = float(text)
            value = (
                number if column.decimals is None else round(number, column.decimals)
            )
        out[name] = np.full(len(table[name]), value)
    return out


def matching_rows(source: Source, given: GivenColumns) -> dict[str, np.ndarray] | None:
    """The real rows of the given categories; None where there are none or they cannot
    be read, and where a number is given: hardly any row has exactly that number.
    """
    layout = _layout(source)
    if not all(layout[name].categories for name in given.texts):
        return None
    real = real_rows(source)
    if real is None:
        return None
    rows = np.all([real[name] == v for name, v in given.texts.items()], axis=0)
    return {name: v[rows] for name, v in real.items()} if rows.any() else None


def _layout(source: Source) -> Layout:
    if source.layout is None:
        raise ValueError("only tables have columns, and these data are images")
    return source.layout
