"""A table's file as named columns of text, and decoded columns as a file.

Every cell is read as text, and kinds.py decides what is a number. pyarrow splits the
text: it handles quotes and line ends, and reports rows of another length.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff import files
from jaxdiff.data.layout import Columns, Layout, as_number

# What may stand between cells, and its name.
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

# Control characters, and those that change the direction of text after them: a terminal
# would obey them. A line break in a cell is mostly a quote that was left open.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

# Text that begins so is a formula to a spreadsheet, unless an apostrophe precedes it.
FORMULA = ("=", "+", "-", "@")

# The most of a cell that a message repeats.
LONGEST = 40


class Cells(NamedTuple):
    """columns:   {name: its cells as text, stripped}; row i is line i + 2 of the file
    separator: what stood between cells, of SEPARATORS
    """

    columns: dict[str, list[str]]
    separator: str


def read(path: str) -> Cells:
    """The cells of a file of UTF-8 text with a header.

    The separator is the one of SEPARATORS that splits the header, and all rows into as
    many cells.
    Errors: FileNotFoundError if there is no such file. ValueError, with the line, for
            other text, a missing or repeated name, a row of another length, control
            characters, and a header that two separators split.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"path: there is no file {path!r} (looked from {Path.cwd()}); give the "
            "path of a CSV file"
        )
    raw = file.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}: line {line} is not UTF-8 text ({error.reason}); save the table "
            "as CSV UTF-8"
        ) from None
    if not text.strip():
        raise ValueError(f"{path}: the file is empty; it needs a header and rows")
    separator, rows = _split(path, text)
    for i, row in enumerate(rows, 1):
        _check_row(path, i, row, rows[0])
    _check_header(path, rows[0])
    return Cells(dict(zip(rows[0], _transposed(rows), strict=True)), separator)


def write(path: Path, columns: Columns) -> None:
    """Write decoded columns as UTF-8 text that `read` reads back the same.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_without_formula(name) for name in columns])
        values = [np.asarray(v).tolist() for v in columns.values()]
        for row in zip(*values, strict=True):
            writer.writerow([_without_formula(v) for v in row])


def of_arrays(sizes: Mapping[Path, int], layout: Layout, cure: str) -> Columns:
    """The columns of a table, out of .npz files of decoded rows.

    Args:   sizes: {file: its rows}.  cure: what helps where a file is another one.
    Errors: ValueError that names the file which lacks rows or a column, or has values
            that are none of it.
    """
    parts = []
    for path, n in sizes.items():
        parts.append(files.read_arrays(path, *layout.names, cure=cure))
        for column in layout.columns:
            values, text = parts[-1][column.name], column.categories
            good = np.array(False)
            if text or values.dtype.kind in "fiu":
                good = np.isin(values, text) if text else np.isfinite(values)
            if values.shape == (n,) and good.all():
                continue
            got = f"{values.dtype} {values.shape}"
            if values.shape == (n,) == good.shape:
                got = shown(values[~good][0])
            what = "of the data's categories" if text else "finite numbers"
            raise ValueError(
                f"{path}: column {column.name!r} must be {n} values, {what}, got {got};"
                f" {cure}"
            )
    return {k: np.concatenate([arrays[k] for arrays in parts]) for k in layout.names}


def shown(cell: object) -> str:
    """A cell in quotes, for a message: cut where it is long, on one line."""
    text = str(cell)
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "...")


def _split(path: str, text: str) -> tuple[str, list[list[str]]]:
    """The separator, and all rows that hold something, the header first."""
    first = text.splitlines()[0]
    splits = {s: _rows(text, s) for s in SEPARATORS if s in first} or {
        ",": _rows(text, ",")
    }
    fitting = [s for s, split in splits.items() if isinstance(split, list)]
    several = [s for s in fitting if len(splits[s][0]) > 1]
    if len(several) > 1:
        one, other = (SEPARATORS[s] for s in several[:2])
        raise ValueError(
            f"{path}: cells may be separated by {one} or by {other}, both fit every "
            "row; put names that hold one of the two in quotes"
        )
    separator = (several or fitting or [*splits])[0]
    rows = splits[separator]
    if isinstance(rows, str):
        raise ValueError(f"{path}: {rows}")
    while len(rows) > 1 and not any(rows[-1]):
        rows.pop()
    return separator, rows


def _rows(text: str, separator: str) -> list[list[str]] | str:
    """Rows of stripped cells; in words what is wrong with the first row that differs
    in length.
    """
    # only here: no other data set needs it
    import pyarrow as pa
    from pyarrow import csv as arrow

    data, odd = text.encode(), []
    count = text.splitlines()[0].count(separator) + 1

    def skip(row):
        odd.append(row)
        return "skip"

    try:
        table = arrow.read_csv(
            io.BytesIO(data),
            read_options=arrow.ReadOptions(
                use_threads=False,
                block_size=len(data) + 1,  # or a long row would be cut
                autogenerate_column_names=True,
            ),
            parse_options=arrow.ParseOptions(
                delimiter=separator,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            convert_options=arrow.ConvertOptions(
                column_types={f"f{i}": pa.string() for i in range(count)},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as error:
        return f"is no table that can be read ({error}); save it as CSV UTF-8"
    if odd:
        row = odd[0]
        return (
            f"line {row.number} has {row.actual_columns} cells, the header "
            f"{row.expected_columns}; quote cells that hold {SEPARATORS[separator]}, "
            "and remove blank lines"
        )
    columns = [column.to_pylist() for column in table.columns]
    return [[_stripped(str(c)) for c in row] for row in zip(*columns, strict=True)]


def _transposed(rows: list[list[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows[1:], strict=True)] or [
        [] for _ in rows[0]
    ]


def _check_row(path: str, line: int, row: list[str], header: list[str]) -> None:
    if len(row) > 1 and not any(row):
        raise ValueError(f"{path}: line {line} is empty; remove it")
    for name, cell in zip(header, row, strict=True):
        if CONTROL.search(cell):
            raise ValueError(
                f"{path}: line {line}, column {shown(name)}: {shown(cell)} holds a "
                "line break or another control character; write it without, and close "
                "every quote"
            )


def _check_header(path: str, header: list[str]) -> None:
    numbers = {i: name for i, name in enumerate(header) if as_number(name) is not None}
    # as pandas numbers columns that have no names
    counted = len(numbers) > 1 and all(name == str(i) for i, name in numbers.items())
    if numbers and not counted:
        names = ", ".join(map(shown, numbers.values()))
        name = next(iter(numbers.values()))
        raise ValueError(
            f"{path}: the header, line 1, holds numbers ({names}). If that line is a "
            "row, put a line of names above it; if these are names, put a letter "
            f"before each, as in x{name}"
        )
    for name, count in Counter(header).items():
        if not name or count > 1:
            raise ValueError(
                f"{path}: the header has {count} column(s) named {name!r}; give every "
                "column another name"
            )


def _stripped(cell: str) -> str:
    """Without white space around it, and the apostrophe before a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULA else cell


def _without_formula(value: object) -> object:
    risky = isinstance(value, str) and value.startswith(FORMULA)
    return f"'{value}" if risky and as_number(value) is None else value
