"""Which columns of a table hold numbers and which hold categories: one stated rule.

A column is numeric if every value is a finite number, written with the digits 0 to 9, a
point and an exponent. It holds categories if no value is one, and where its values are
whole numbers some of which begin with 0: those are codes. Everything between the two is
refused, because one odd cell would turn a column of numbers into categories.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdiff.data.layout import Column, as_number
from jaxdiff.data.reading import shown

# A whole number as text, as far as it is a number to as_number: below 1e309.
WHOLE = re.compile(r"[+-]?[0-9]{1,310}")

# Values that are missing, in lower case. Words such as "none" can be categories.
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "?"})

# What people write around numbers, and programs do not read: beside these characters
# Unicode's currency signs and invisible ones.
ORNAMENTS = re.compile(r"[\s,'\u2019_%\u2030\u00b0]")
ORNAMENTAL = ("Sc", "Cf")

# Categories that a line about a column lists, at most.
MOST_LISTED = 8


def is_numeric(
    name: str,
    values: Sequence[Any],
    categorical: Collection[str] = (),
    *,
    where: str = "",
    name_row: Callable[[int], str] = "row {}".format,
    has_fields: bool = False,
) -> bool:
    """Whether a column holds numbers; otherwise it holds categories.

    Args:   values: text, or Python's numbers, bools and None.
            categorical: columns that hold categories whatever their values are.
            where, name_row: what messages call the table and row i.
            has_fields: see table.from_columns.
    Errors: ValueError, with row, column, value and cure, for a missing value, for a
            column of which only some values are numbers, and for whole numbers that a
            float64 would change.
    """
    forced = name in categorical

    def refuse(i: int, why: str) -> ValueError:
        return ValueError(
            f"{where}{name_row(i)}, column {name!r}: {shown(values[i])} {why}"
        )

    for i, value in enumerate(values):
        if is_missing(value, ("",) if forced else MISSING):
            raise refuse(i, "is a missing value; fill it in or remove the row")
    if forced:
        return False
    numbers = [_is_number(v) for v in values]
    how = "write them as words"
    if has_fields:
        how = f'set --config.data.categorical="({name!r},)"'
    declare = f"If the column holds categories, {how}"
    cure = f"correct it or remove the row. {declare}"
    if all(numbers):
        for i, value in enumerate(values):
            if _is_inexact(value):
                cure = f"{declare}; otherwise {leave_out(has_fields)}"
                raise refuse(
                    i,
                    "is a whole number beyond 2^53, which a float64 cannot hold "
                    f"exactly. {cure}",
                )
        return True
    if all(isinstance(v, str) and v.isdecimal() and v.isascii() for v in values):
        return False  # codes
    if any(numbers):
        few = sum(numbers) * 2 < len(numbers)  # name a cell of the rarer kind
        i = numbers.index(few)
        others = f"{numbers.count(not few)} of the {len(numbers)} values"
        if few:
            raise refuse(i, f"is a number, and {others} are not; {cure}")
        what = "begins with 0 like a code" if is_code(values[i]) else "is not a number"
        raise refuse(i, f"{what}, and {others} are numbers; {cure}")
    if all(map(_is_ornamented, values)):
        raise refuse(
            0,
            "is not a number; write numbers with the digits 0 to 9 and a point before "
            f"decimals. {declare}",
        )
    return False


def leave_out(has_fields: bool) -> str:
    """The cure for a column that cannot be used; see table.from_columns."""
    by = " by naming the others in data.columns" if has_fields else ""
    return f"leave the column out{by}"


def is_missing(value: Any, missing: Collection[str] = MISSING) -> bool:
    # NaN is the one value that differs from itself (pandas writes NaN for None)
    if value is None or value != value:
        return True
    return isinstance(value, str) and value.strip().lower() in missing


def is_code(value: Any) -> bool:
    """Whether text is a whole number with zeros before it."""
    return isinstance(value, str) and re.fullmatch(r"0[0-9]+", value) is not None


def _is_number(value: Any) -> bool:
    is_other = isinstance(value, bool) or is_code(value)
    return not is_other and as_number(value) is not None


def _is_inexact(value: Any) -> bool:
    """Whether it is a whole number that float() changes."""
    if isinstance(value, str):
        value = int(value) if WHOLE.fullmatch(value.strip()) else 0
    return isinstance(value, int | np.integer) and int(value) != float(value)


def describe(column: Column, values: Sequence[Any]) -> str:
    """How a column was read, in one line."""
    if not column.categories:
        numbers, digits = np.array(values, np.float64), column.decimals
        what = "numbers" if digits else "whole numbers"
        if digits is None:
            what = "numbers, not rounded,"
        with_digits = f" with {digits} decimal{'s' * (digits > 1)}" if digits else ""
        low, high = numbers.min(), numbers.max()
        return f"{column.name}: {what} from {low:.6g} to {high:.6g}{with_digits}"
    counts = Counter(map(str, values))
    listed = [f"{c} ({counts[c]})" for c in column.categories[:MOST_LISTED]]
    more = ", ..." if len(column.categories) > MOST_LISTED else ""
    what = "text codes" if any(map(is_code, counts)) else "categories"
    return f"{column.name}: {len(counts)} {what}: {', '.join(listed)}{more}"


def check_older(data: Mapping[str, Sequence[str]], separator: str, where: str) -> None:
    """Check that an older run read the same columns of text as today.

    It split at commas, and took for numbers whatever float() reads, except "1_000". A
    column with one other cell was text.
    Errors: ValueError that names the first column that was read otherwise.
    """
    cure = (
        "sample the run with the version of jaxdiff that trained it, or train anew in "
        "another --workdir"
    )
    if separator != ",":
        raise ValueError(
            f"{where}column {separator.join(data)!r} was one column when this run was "
            f"trained, and is now {len(data)} columns ({', '.join(data)}); {cure}"
        )
    for name, cells in data.items():
        was = "numbers" if all(map(_older_number, cells)) else "text"
        try:
            now = "numbers" if is_numeric(name, cells) else "text"
        except ValueError:
            now = "neither numbers nor text"
        if was != now:
            raise ValueError(
                f"{where}column {name!r} was read as {was} when this run was trained, "
                f"and is {now} by today's rules; {cure}"
            )


def _older_number(cell: str) -> bool:
    try:
        return "_" not in cell and bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def _is_ornamented(value: Any) -> bool:
    """Whether a reader sees a number in it, and float() does not: "1,234", "5 %"."""
    if not isinstance(value, str):
        return False
    text = unicodedata.normalize("NFKC", value).replace("\N{MINUS SIGN}", "-")
    text = "".join(c for c in text if unicodedata.category(c) not in ORNAMENTAL)
    return as_number(ORNAMENTS.sub("", text)) is not None
