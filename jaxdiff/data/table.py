"""Tables of numeric and categorical columns: any CSV, dict of arrays or DataFrame.

A column is numeric if all its values read as finite numbers. Any other column is
categorical and becomes one column of x per category. See layout.py.
"""

import csv
import difflib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.data import layout as layouts
from jaxdiff.data import source as sources
from jaxdiff.data.layout import Column, Columns, Layout
from jaxdiff.data.source import Source

MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})

# One mistyped number would turn its whole column into a category per row.
MAX_CATEGORIES = 256

# A column that needs more digits than this after the point counts as unrounded.
MAX_DECIMALS = 6


def make(
    path: str,
    columns: tuple[str, ...] = (),
    rounded: bool = True,
    checksum: str = "",
) -> Source:
    """A CSV file with a header as x f32[b, d], standardised.

    Args:   path: UTF-8 text, comma separated.
            columns: those to keep, in this order; () for all.
            rounded: see from_columns.  checksum: that of the file; "" accepts any.
    Errors: FileNotFoundError if there is no such file. ValueError for an empty file, a
            missing header or value, ragged rows, an empty or repeated header name, an
            unknown column, whatever from_columns refuses, and another checksum.
    """
    data, lines = read_csv(path)
    source = from_columns(
        select(data, columns),
        rounded=rounded,
        where=f"{path}: ",
        name_row=lambda i: f"line {lines[i]}",
    )
    return sources.of_files(source, [Path(path)], Path(path), checksum)


def from_columns(
    columns: Any,
    *,
    rounded: bool = True,
    where: str = "",
    name_row: Callable[[int], str] = "row {}".format,
) -> Source:
    """A source from {name: sequence of n values}, or anything with such items().

    Args:   columns: a mapping or a pandas DataFrame (typed Any: it is no Mapping).
            rounded: decode numbers to as many decimals as the column itself has, so
                that counts stay whole and lengths in tenths stay in tenths.
            where, name_row: what error messages call the table and row i.
    Errors: ValueError for no columns or rows, columns of different length, a missing
            value, over 256 categories, or a column that is the same in every row.
    """
    data = {str(name): _plain(v) for name, v in columns.items()}
    lengths = {name: len(v) for name, v in data.items()}
    if not data or not min(lengths.values()):
        raise ValueError(f"{where}the table has no rows; give at least two")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{where}columns must be of one length, got {lengths}")

    parts, blocks, start = [], [], 0
    for name, values in data.items():
        _check_missing(name, values, name_row, where)
        categories, block = _parse(name, values, name_row, where)
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
                "row: its std is 0 and it cannot be standardised; leave it out by "
                "naming the others in columns"
            )
    return _standardised(tuple(parts), raw)


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


def _standardised(columns: tuple[Column, ...], raw: np.ndarray) -> Source:
    """A source from raw f64[n, d] in data units."""
    with np.errstate(over="ignore", invalid="ignore"):
        layout = Layout(columns, raw.mean(axis=0), raw.std(axis=0))
    good = np.isfinite(layout.mean) & np.isfinite(layout.std) & (layout.std > 0)
    for column in columns:
        if not good[column.start : column.stop].all():
            values = raw[:, column.start]
            raise ValueError(
                f"column {column.name!r} has numbers from {values.min():g} to "
                f"{values.max():g}, whose mean or deviation is out of range; divide "
                "it by a power of ten"
            )
    x = ((raw - layout.mean) / layout.std).astype(np.float32)
    return Source(
        load=lambda index: {"x": x[index], "cond": None},
        size=len(x),
        shape=(layout.width,),
        decode=partial(layouts.decode, layout),
        layout=layout,
    )


def select(data: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The named columns in the order given; all for ()."""
    for name in columns:
        if name not in data:
            near = difflib.get_close_matches(name, data, 1, 0.0)[0]
            raise ValueError(
                f"columns: the table has no {name!r}; did you mean {near!r}? "
                f"It has: {', '.join(data)}"
            )
    if len(set(columns)) < len(columns):
        raise ValueError(f"columns must be different, got columns={tuple(columns)}")
    return {name: data[name] for name in columns or data}


def read_csv(path: str) -> tuple[dict[str, list[str]], list[int]]:
    """{header name: its cells, stripped}, and each row's line in the file, from 1."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"path: there is no file {path!r} (looked from {Path.cwd()}); give the "
            "path of a CSV file"
        )
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            table = [([c.strip() for c in row], reader.line_num) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: not comma-separated UTF-8 text ({error}); save it as CSV UTF-8"
        ) from error
    while table and not any(table[-1][0]):
        table.pop()
    if not table:
        raise ValueError(f"{path}: the file is empty; it needs a header and rows")
    header = table[0][0]
    _check_header(path, header)
    for row, line in table[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"{path}: line {line} has {len(row)} cells, the header {len(header)}; "
                "quote cells that hold a comma, and remove blank lines"
            )
    cells = [row for row, _ in table[1:]]
    data = {name: [row[i] for row in cells] for i, name in enumerate(header)}
    return data, [line for _, line in table[1:]]


def write_csv(path: str, columns: Columns) -> None:
    """Write decoded columns as a CSV that make() reads back to the same numbers."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        values = [np.asarray(v).tolist() for v in columns.values()]
        writer.writerows(zip(*values, strict=True))


def _check_header(path: str, header: list[str]) -> None:
    if any(layouts.as_number(name) is not None for name in header):
        raise ValueError(
            f"{path}: the first line holds numbers ({', '.join(header)}); put a "
            "header line with the columns' names above it"
        )
    for name, count in Counter(header).items():
        if not name or count > 1:
            raise ValueError(
                f"{path}: the header has {count} column(s) named {name!r}; give every "
                "column another name"
            )


def _plain(values: Any) -> list[Any]:
    """Python numbers and strings from an array, a list or a Series."""
    return np.asarray(values).tolist() if hasattr(values, "dtype") else list(values)


def _check_missing(
    name: str, values: list[Any], name_row: Callable[[int], str], where: str
) -> None:
    for i, value in enumerate(values):
        # NaN is the one value that differs from itself (pandas writes NaN for None).
        gap = value is None or value != value
        if gap or (isinstance(value, str) and value.strip().lower() in MISSING):
            raise ValueError(
                f"{where}{name_row(i)}, column {name!r}: the value is missing "
                f"({value!r}); fill it in or remove the row"
            )


def _decimals(numbers: np.ndarray) -> int | None:
    """The fewest digits after the point that write every number; None if too many."""
    for decimals in range(MAX_DECIMALS + 1):
        if (numbers.round(decimals) == numbers).all():
            return decimals
    return None


def _parse(
    name: str, values: list[Any], name_row: Callable[[int], str], where: str
) -> tuple[tuple[str, ...], np.ndarray]:
    """() and numbers f64[n, 1], or sorted categories and their one-hot f64[n, k]."""
    numbers = [None if isinstance(v, bool) else layouts.as_number(v) for v in values]
    if None not in numbers:
        return (), np.array(numbers, np.float64)[:, None]
    text = np.array([str(v) for v in values])
    categories, which = np.unique(text, return_inverse=True)
    if len(categories) > MAX_CATEGORIES:
        odd = numbers.index(None)
        raise ValueError(
            f"{where}column {name!r} has {len(categories)} categories, the most is "
            f"{MAX_CATEGORIES}; {name_row(odd)} holds {text[odd]!r}, which is no "
            "number: correct it, or leave the column out by naming others in columns"
        )
    return tuple(categories.tolist()), np.eye(len(categories))[which]
