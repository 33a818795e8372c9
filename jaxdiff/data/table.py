"""Tables of numeric and categorical columns: any CSV, dict of arrays or DataFrame.

Which columns are numeric is the rule of kinds.py. Any other column is categorical and
becomes one column of x per category. See layout.py.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.data import kinds, reading
from jaxdiff.data import layout as layouts
from jaxdiff.data import source as sources
from jaxdiff.data.fingerprints import of_columns
from jaxdiff.data.layout import Column, Layout
from jaxdiff.data.source import Source

# One mistyped number would turn its whole column into a category per row.
MAX_CATEGORIES = 256

# A column that needs more digits than this after the point counts as unrounded.
MAX_DECIMALS = 6


def make(
    path: str,
    columns: tuple[str, ...] = (),
    categorical: tuple[str, ...] = (),
    rounded: bool = True,
    rules: int = 2,
    checksum: str = "",
) -> Source:
    """A CSV file with a header as x f32[b, d], standardised.

    Args:   path: UTF-8 text; see reading.read.
            columns: those to keep, in this order; () for all.
            categorical, rounded: see from_columns.
            rules: 1 for an older run; a file that it read otherwise is refused.
            checksum: that of the file; "" accepts any.
    Errors: FileNotFoundError if there is no such file. ValueError for whatever
            reading.read and from_columns refuse, an unknown column, and another
            checksum.
    """
    cells, where = reading.read(path), f"{path}: "
    data = select(cells.columns, columns)
    if rules < 2:
        kinds.check_older(data, cells.separator, where)
    source = from_columns(
        data,
        categorical=categorical,
        rounded=rounded,
        where=where,
        name_row=lambda i: f"line {i + 2}",
        has_fields=True,
    )
    between = reading.SEPARATORS[cells.separator]
    head = f"{where}{len(source)} rows, cells separated by {between}"
    source = replace(source, notes=(head, *source.notes))
    file = Path(path).expanduser()
    return sources.of_files(source, [file], file, checksum)


def from_columns(
    columns: Any,
    *,
    categorical: Collection[str] = (),
    rounded: bool = True,
    where: str = "",
    name_row: Callable[[int], str] = "row {}".format,
    has_fields: bool = False,
) -> Source:
    """A source from {name: sequence of n values}, or anything with such items().

    Args:   columns: a mapping or a pandas DataFrame (typed Any: it is no Mapping).
            categorical: names of columns that hold categories, whatever they look like.
            rounded: decode numbers to as many decimals as the column itself has, so
                that counts stay whole and lengths in tenths stay in tenths.
            where, name_row: what error messages call the table and row i.
            has_fields: whether a config can set data.columns and data.categorical,
            which cures then name.
    Errors: ValueError for no columns or rows, columns of different length, whatever
            kinds.is_numeric refuses, over 256 categories, or a column that is the same
            in every row.
    """
    data = {str(name): plain(name, v) for name, v in columns.items()}
    lengths = {name: len(v) for name, v in data.items()}
    if not data or not min(lengths.values()):
        raise ValueError(f"{where}the table has no rows; give at least two")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{where}columns must be of one length, got {lengths}")

    unknown = [name for name in categorical if name not in data]
    if unknown:
        raise ValueError(f"categorical: {where}{_no_column(unknown[0], data)}")

    parts, blocks, start = [], [], 0
    for name, values in data.items():
        numeric = kinds.is_numeric(
            name,
            values,
            categorical,
            where=where,
            name_row=name_row,
            has_fields=has_fields,
        )
        categories = tuple([] if numeric else sorted({str(v) for v in values}))
        if len(categories) > MAX_CATEGORIES:
            raise ValueError(
                f"{where}column {name!r} has {len(categories)} categories "
                f"({reading.shown(categories[0])}, ...), the most is {MAX_CATEGORIES}; "
                f"{kinds.leave_out(has_fields)}"
            )
        block = _numbers(values) if numeric else _one_hot(values, categories)
        decimals = None if categories or not rounded else _decimals(block)
        parts.append(Column(name, start, start + block.shape[1], categories, decimals))
        blocks.append(block)
        start += block.shape[1]
    raw = np.concatenate(blocks, axis=1)
    for column in parts:
        # Rounding leaves a constant column a std of about 1e-17, not always 0.
        if np.ptp(raw[:, column.start : column.stop], axis=0).max() == 0:
            raise ValueError(
                f"{where}column {column.name!r} is {data[column.name][0]} in every "
                "row: its std is 0 and it cannot be standardised; "
                f"{kinds.leave_out(has_fields)}"
            )
    source = _standardised(tuple(parts), raw, where)
    lines = (kinds.describe(column, data[column.name]) for column in parts)
    return replace(source, notes=tuple(lines))


def take(source: Source, index: np.ndarray) -> Source:
    """The rows i64[n] of a table, in that order, standardised by these rows alone.

    Rows that are held out then have no part in what a model learns, not even in its
    units. The columns keep all their categories and decimals.

    Errors: ValueError as for source.take, or for a column or a category that is the
            same in each of these rows.
    """
    layout = source.layout
    if layout is None:
        raise ValueError("only tables are standardised by row; use data.source.take")
    x = sources.take(source, index)[np.arange(len(index))]["x"]
    raw = x.astype(np.float64) * layout.std + layout.mean
    spread = np.ptp(raw, axis=0)
    for column in layout.columns:
        block = slice(column.start, column.stop)
        # values that are equal in the table are equal in x, bit for bit
        if not spread[block].all():
            flat = int(np.argmin(spread[block]))
            which = f" {column.categories[flat]!r}" if column.categories else ""
            raise ValueError(
                f"column {column.name!r}{which} is the same in all {len(index)} rows: "
                "its std is 0 and it cannot be standardised; take more rows"
            )
    return _standardised(layout.columns, raw)


def _standardised(
    columns: tuple[Column, ...], raw: np.ndarray, where: str = ""
) -> Source:
    """A source from raw f64[n, d] in data units."""
    with np.errstate(over="ignore", invalid="ignore"):
        layout = Layout(columns, raw.mean(axis=0), raw.std(axis=0))
    good = np.isfinite(layout.mean) & np.isfinite(layout.std) & (layout.std > 0)
    for column in columns:
        if not good[column.start : column.stop].all():
            values = raw[:, column.start]
            do = "divide" if np.abs(values).max() > 1 else "multiply"
            raise ValueError(
                f"{where}column {column.name!r} has numbers from {values.min():g} to "
                f"{values.max():g}, whose mean or deviation is out of range; {do} "
                "it by a power of ten"
            )
    x = ((raw - layout.mean) / layout.std).astype(np.float32)
    values = [raw[:, column.start : column.stop] for column in columns]
    digest = of_columns(layout.names, values)  # now: raw is not kept
    return Source(
        load=lambda index: {"x": x[index], "cond": None},
        size=len(x),
        shape=(layout.width,),
        decode=partial(layouts.decode, layout),
        layout=layout,
        fingerprint=lambda: digest,
    )


def select(data: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The named columns in the order given; all for ()."""
    for name in columns:
        if name not in data:
            raise ValueError(f"columns: {_no_column(name, data)}")
    if len(set(columns)) < len(columns):
        raise ValueError(f"columns must be different, got columns={tuple(columns)}")
    return {name: data[name] for name in columns or data}


def _no_column(name: str, data: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, data, 1, 0.0)[0]
    return (
        f"the table has no {name!r}; did you mean {near!r}? It has: {', '.join(data)}"
    )


def plain(name: Any, values: Any) -> list[Any]:
    """Python numbers and strings from an array, a list or a Series; bytes are UTF-8."""
    values = np.asarray(values).tolist() if hasattr(values, "dtype") else list(values)
    try:
        return [v.decode() if isinstance(v, bytes) else v for v in values]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} must be UTF-8 text, got {error.object!r}; decode it: "
            f"[v.decode('latin-1') for v in {name}]"
        ) from None


def _decimals(numbers: np.ndarray) -> int | None:
    """The fewest digits after the point that write every number; None if too many."""
    for decimals in range(MAX_DECIMALS + 1):
        if (numbers.round(decimals) == numbers).all():
            return decimals
    return None


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([layouts.as_number(v) for v in values], np.float64)[:, None]


def _one_hot(values: Sequence[Any], categories: Sequence[str]) -> np.ndarray:
    """f64[n, k]."""
    place = {category: i for i, category in enumerate(categories)}
    return np.eye(len(place))[[place[str(v)] for v in values]]
