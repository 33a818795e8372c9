"""Values of fields to try, as --over FIELD=VALUE,VALUE gives them."""

import ast
import math
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxdiff import fields, ranges
from jaxdiff.arrays import require
from jaxdiff.choices import hint, respec
from jaxdiff.notes import note_once
from jaxdiff.schema import flat, get_config
from jaxdiff.train import lr_schedules

LITERAL = {"int": int, "float": float, "tuple": tuple}

Fields = dict[str, Any]


class Option(NamedTuple):
    """A value to try. column: what is varied, as a field. value: as it is shown.
    fields: {field: value} of the config. name: for the names of files.
    """

    column: str
    value: Any
    fields: Fields
    name: str


def parse_axes(
    base: ConfigDict, over: Sequence[str], given: Collection[str]
) -> list[list[Option]]:
    """The values of each "field=v1,v2", in order.

    given:  fields of `base` that flags have set.
    Errors: ValueError for an unknown field, for a value of another type, and for a
            field that is set or varied elsewhere.
    """
    axes = [_parse_over(base, text) for text in over]
    columns = [options[0].column for options in axes]
    for column in columns:
        require(columns.count(column) == 1, f"--over {column} is given twice")
        # numbers over train.lr are peaks of the schedule that a flag may give
        require(
            column not in given or column == "train.lr",
            f"--config.{column} and --over {column} set the same field: leave one out",
        )
    return axes


def _parse_over(base: ConfigDict, text: str) -> list[Option]:
    field, equals, values = text.partition("=")
    require(equals and values, f"--over {text}: expected FIELD=VALUE,VALUE")
    options = []
    parts = _split(values)
    require(parts[-1], f"--over {text} ends in a comma: leave it out")
    for part in parts:
        value = parse_value(base, field, part, f"--over {text}")
        # a rate is shown as the number that was given
        number = _number(part)
        shown = number if isinstance(value, str) and number is not None else value
        options.append(Option(field, shown, {field: value}, text_of(shown)))
    return options


def with_values(base: ConfigDict, values: Fields, given: Collection[str]) -> ConfigDict:
    """The base with other values. Fields that another choice does not take return to
    their defaults, with a note.

    given:  fields that flags have set, which stay.
    Errors: ValueError for a value out of range, and for a field that nothing takes.
    """
    config = base.copy_and_resolve_references()
    config.update_from_flattened_dict(values)
    config.auto = tuple(field for field in config.auto if field not in values)
    chosen = [f"{k}={v}" for k, v in values.items() if k in fields.CHOICES]
    if chosen and (reset := sorted(fields.settle(config, {*given, *values}))):
        note_once(
            f"with {', '.join(chosen)} nothing takes the config's {', '.join(reset)}: "
            "back at the default"
        )
    ranges.check(config)
    fields.check(config)
    return config


def parse_value(base: ConfigDict, field: str, text: str, flag: str) -> Any:
    """A text as a value of the field's type; for train.lr a number is the peak.

    Errors: ValueError, which begins with `flag`.
    """
    known = flat(get_config())
    require(field in known, f"{flag}: no field {field!r}{_near(field, known)}")
    kind = type(known[field]).__name__
    number = _number(text)
    if field == "train.lr" and number is not None:
        require(math.isfinite(number), f"{flag}: {text} is no rate: give a number")
        return respec(lr_schedules, base.train.lr, peak=number)
    if kind == "str":
        return text
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
        fits = type(value) is LITERAL.get(kind) or (kind, type(value)) == ("float", int)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        fits = False
    require(fits, f"{flag}: {field} must be of type {kind}, got {text!r}")
    return value + 0.0 if kind == "float" else value  # -0.0 is 0


def _near(field, known):
    same = [name for name in known if name.rpartition(".")[2] == field]
    return f"; did you mean {same[0]!r}?" if same else hint(field, known)


def _number(text):
    try:
        return float(text) + 0.0
    except ValueError:
        return None


def _split(text: str) -> list[str]:
    """At commas outside brackets and quotes: "lms(order=2, a=1),heun" is two."""
    depth, quote, parts = 0, "", [""]
    for character in text:
        if character == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += character
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
    return [part.strip() for part in parts]


def text_of(value: Any) -> str:
    """As it stands in the name of a folder."""
    text = str(value)
    if isinstance(value, float) and float(f"{value:g}") == value:
        text = f"{value:g}"
    return re.sub(r"[^\w.+=-]+", "_", text).strip("_.") or "none"
