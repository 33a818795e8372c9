"""The runs below a folder as rows: read from small files, without JAX."""

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxdiff import files, lock, schema, upgrades

CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"
# Levels of folders below the first in which runs are searched.
DEPTH = 6
# The last line of a log is at most so long, in bytes.
TAIL = 65_536
# Of a line of metrics.jsonl: how the run went, not how good it is.
HOW = (
    *("step", "lr", "epoch", "loss_of_new_epoch"),
    *("seconds", "examples_per_second", "grad_norm"),
)
# Columns of a row that a line of metrics.jsonl cannot fill.
COLUMNS = ("run", "num_steps", "state", "age", "problem")
# What a run measures of its data is no choice of anybody.
MEASURED = ("data.checksum", "data.mean", "data.std")


class State(NamedTuple):
    """fields: {field: value} in today's fields; {} if it cannot be read
    last:    the last whole line of metrics.jsonl; {} if there is none
    word:    "training", "finished", "stopped" or "not started"
    written: when the log was last written, in seconds since 1970; None for never
    problem: why something of it cannot be read; "" for nothing
    """

    fields: dict[str, Any]
    last: dict[str, Any]
    word: str
    written: float | None
    problem: str


def rows_of(folder: Path, sort: str = "") -> list[dict[str, Any]]:
    """A row for each run below a folder, with the fields in which their configs differ;
    of one run, those that differ from the defaults.

    sort: a column, smallest first; "-COLUMN" for the largest first; "" by path.
    Errors: FileNotFoundError for no folder, and for one without runs; ValueError for a
            column that there is not.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    states = {path: read(path) for path in workdirs(folder)}
    if not states:
        raise FileNotFoundError(f"no runs below {folder}, {DEPTH} folders deep")
    fields = differing([s.fields for s in states.values() if s.fields])
    figures = list(
        dict.fromkeys(k for s in states.values() for k in figures_of(s.last))
    )
    rows = [_row(path, states[path], fields, figures) for path in states]
    column = sort.removeprefix("-")
    if not sort:
        return rows
    if column not in rows[0]:
        raise ValueError(f"--sort={sort}: the columns are {', '.join(rows[0])}")
    known = [row for row in rows if row[column] is not None]
    known.sort(key=lambda row: _order(row[column]), reverse=sort.startswith("-"))
    return known + [row for row in rows if row[column] is None]


def _row(path, state, fields, figures):
    age = None if state.written is None else max(0.0, time.time() - state.written)
    return {
        "run": str(path),
        **{field: state.fields.get(field) for field in fields},
        "step": state.last.get("step"),
        "num_steps": state.fields.get("train.num_steps"),
        **{name: state.last.get(name) for name in figures},
        "state": state.word,
        "age": age,
        "problem": state.problem or None,
    }


def _order(value):
    """Numbers among themselves, before everything else."""
    number = isinstance(value, int | float)
    return (not number, value if number else 0, str(value))


def workdirs(folder: Path) -> Iterator[Path]:
    """Every workdir at or below a folder, in the order of names; none inside another.

    A config.json alone is no run: other programs write files of that name too.
    """
    for path, inside, names in os.walk(folder):
        here = Path(path)
        if METRICS in names or (CONFIG in names and CHECKPOINTS in inside):
            inside.clear()
            yield here
        elif len(here.relative_to(folder).parts) >= DEPTH:
            inside.clear()
        inside[:] = sorted(name for name in inside if not name.startswith("."))


def read(workdir: Path) -> State:
    """The state of a run, whatever of it can be read."""
    fields, last, written, problems = {}, {}, None, []
    try:
        stored = files.read_json(workdir / CONFIG)
        with files.named(workdir / CONFIG):
            fields = schema.flat(upgrades.upgrade(stored))
    except (OSError, ValueError) as error:
        problems.append(" ".join(str(error).split()))
    log = workdir / METRICS
    try:
        if log.exists():
            written, last = log.stat().st_mtime, last_line(log)
            odd = [name for name, value in last.items() if _is_odd(name, value)]
            last = {name: last[name] for name in last if name not in odd}
            if odd:
                problems.append(f"{log}: the last line has no figure {', '.join(odd)}")
    except (OSError, ValueError) as error:
        problems.append(" ".join(str(error).split()))
    num_steps = fields.get("train.num_steps", 0)
    if not isinstance(num_steps, int):
        problems.append(f"{workdir / CONFIG}: train.num_steps is {num_steps!r}")
        num_steps = 0
    word = _word(last, num_steps, lock.is_held(workdir))
    return State(fields, last, word, written, "; ".join(problems))


def _is_odd(name, value):
    """Whether it has the name of a column, or is no number that JSON has."""
    odd = isinstance(value, float) and not math.isfinite(value)
    return name in COLUMNS or isinstance(value, bool) or odd


def _word(last, num_steps, held):
    if held:
        return "training"
    if not last:
        return "not started"
    return "finished" if last["step"] >= num_steps > 0 else "stopped"


def last_line(log: Path) -> dict[str, Any]:
    """The last whole line of metrics.jsonl, {} for none; a kill may cut one short.

    Errors: ValueError that names the file, for what is no line of a log.
    """
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        lines = file.read().split(b"\n")[:-1]
    if not lines:
        return {}
    try:
        row = json.loads(lines[-1], parse_int=files.whole_number)
        if not (isinstance(row, dict) and type(row["step"]) is int):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{log}: the last line is not a step with its loss") from None
    return row


def figures_of(last: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl that measure the model."""
    return {
        name: value
        for name, value in last.items()
        if name not in HOW and isinstance(value, int | float)
    }


def differing(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Fields with several values; of one config, those that are not the defaults."""
    default = schema.flat(schema.get_config())
    every = [*configs, default] if len(configs) == 1 else configs
    return [
        field
        for field in default
        if field not in (*upgrades.PLACES, *MEASURED)
        and len({repr(config[field]) for config in every}) > 1
    ]
