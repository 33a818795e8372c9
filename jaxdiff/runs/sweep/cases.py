"""The cases of a sweep: every combination of what is varied, checked before any run.

A case is a config. Cases that differ in config.sampler alone, which changes samples and
not training, share one run.
"""

import itertools
import os
import re
import shlex
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.plots.page import FORMATS
from jaxdiff.schema import flat
from jaxdiff.variants import (
    Fields,
    Option,
    parse_axes,
    parse_value,
    text_of,
    with_values,
)

BASE, CHANGE, SEED = "base", "change", "seed"
# Blocks of a config that training does not depend on.
SAMPLING = "sampler."
# What else a sweep writes beside the folders of its runs.
RECORD, EVALUATIONS, SCRIPT = "sweep.json", "evaluations", "sweep.sbatch"
PICTURES = {f"{name}.{kind}" for name in ("sweep", "losses") for kind in FORMATS}
RESERVED = {RECORD, EVALUATIONS, SCRIPT, "table.md"} | PICTURES
# The longest name of a folder, in bytes, which every file system takes.
LONGEST = 200


class Case(NamedTuple):
    """name:   of its evaluation, and in tables: "network,seed=1"
    varied: what distinguishes it: {"change": "network", "seed": 1}
    run:    the folder of its run; several cases may share one
    config: of the case.  trained: of its run, with the sampler of the base
    """

    name: str
    varied: Fields
    run: str
    config: ConfigDict
    trained: ConfigDict


def make_cases(
    base: ConfigDict,
    over: Sequence[str],
    change: Sequence[str],
    given: Collection[str] = (),
) -> list[Case]:
    """Every combination of the values of each --over, of the base and of each --change.

    Args:   over: "field=v1,v2".  change: "field=value field=value", a name and ": "
            before it or not.  given: fields of `base` that flags have set.
    Errors: ValueError that names the combination, for a field or value that does not
            fit, and for two cases that are the same.
    """
    require(over or change, "nothing is varied: give --over or --change")
    axes = parse_axes(base, over, given)
    if change:
        options = [_parse_change(base, text) for text in change]
        axes.insert(0, [Option(CHANGE, BASE, {}, BASE), *options])
    axes = _with_short_names(axes)
    cases = [_make_case(base, some, given) for some in itertools.product(*axes)]
    _check_distinct(cases)
    first: dict[str, str] = {}  # config of training -> its run
    runs = [first.setdefault(_key(case.trained), case.run) for case in cases]
    return [case._replace(run=run) for case, run in zip(cases, runs, strict=True)]


def _key(config):
    return repr(sorted(flat(config).items()))


def _make_case(base, options, given):
    values: Fields = {}
    name = _name([option.name for option in options])
    for option in options:
        both = [field for field in option.fields if field in values]
        require(not both, f"{name}: {', '.join(both)} is varied twice")
        values |= option.fields
    trains = [o for o in options if not _only_samples(o)]
    run = _name([option.name for option in trains]) or BASE
    try:
        config = with_values(base, values, given)
        kept = {k: v for k, v in values.items() if not k.startswith(SAMPLING)}
        trained = with_values(base, kept, given)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Case(name, {o.column: o.value for o in options}, run, config, trained)


def _only_samples(option):
    return bool(option.fields) and all(k.startswith(SAMPLING) for k in option.fields)


def _check_distinct(cases: Sequence[Case]) -> None:
    """ValueError for two cases of one config, or of one name."""
    seen: dict[str, Case] = {}
    for case in cases:
        for key in (_key(case.config), case.name.lower()):
            other = seen.get(key)
            require(
                other is None,
                f"{case.name} and {other and other.name} are the same: leave one out, "
                'or name the change, as in --change "NAME: field=value"',
            )
            seen[key] = case


def _parse_change(base: ConfigDict, text: str) -> Option:
    name, colon, rest = text.partition(":")
    if not colon or "=" in name:
        name, rest = "", text
    values: Fields = {}
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise ValueError(f"--change {text}: {error}") from None
    for word in words:
        field, equals, value = word.partition("=")
        require(equals and field not in values, f"--change {text}: not FIELD=VALUE")
        values[field] = parse_value(base, field, value, f"--change {text}")
    require(values, f"--change {text}: expected FIELD=VALUE, one or more")
    short = ",".join(f"{k.rpartition('.')[2]}={text_of(v)}" for k, v in values.items())
    name = name.strip() or short
    require(name != BASE, f"--change {text}: {BASE!r} is the unchanged config")
    require(
        _clean(name).lower() not in RESERVED,
        f"--change {text}: the sweep writes {_clean(name)} itself; take another name",
    )
    return Option(CHANGE, name, values, name)


def _with_short_names(axes: list[list[Option]]) -> list[list[Option]]:
    """Names "lr=0.001" of the options; of changes, and of equal ends, in full."""
    ends = [options[0].column.rpartition(".")[2] for options in axes]
    named = []
    for end, options in zip(ends, axes, strict=True):
        column = options[0].column
        short = end if ends.count(end) == 1 else column
        named.append(
            [
                o._replace(
                    name=_clean(o.name) if column == CHANGE else f"{short}={o.name}"
                )
                for o in options
            ]
        )
    return named


def _clean(name):
    return re.sub(r"[^\w.+=,-]+", "_", name).strip("_.") or "none"


def _name(parts: Sequence[str]) -> str:
    name = ",".join(parts)
    require(
        len(os.fsencode(name)) <= LONGEST,
        f"{name[:40]}... is too long for the name of a folder: name the change, as in "
        '--change "NAME: field=value"',
    )
    return name
