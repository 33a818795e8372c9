"""How a measurement grows with fields of the config, one field at a time.

Every value is measured in a process of its own: with its own devices, memory, and
programs compiled anew.
"""

import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm.auto import tqdm

from jaxdiff.apart import Failed, run_apart
from jaxdiff.arrays import require
from jaxdiff.files import write_numbers
from jaxdiff.plots import growth
from jaxdiff.runs.bench import speed
from jaxdiff.schema import flat
from jaxdiff.stopping import noted
from jaxdiff.train.timing import Spread
from jaxdiff.variants import parse_over, with_values

Row = dict[str, Any]

# What is measured, by kind, and the name of its time.
BENCHES: dict[str, tuple[Callable[..., Row], str]] = {
    "step": (speed.bench_step, "ms per step"),
    "forward": (speed.bench_forward, "ms"),
    "sample": (speed.bench_sample, "seconds"),
}
# Blocks of a config that a kind does not depend on, and exceptions.
IDLE = {"step": "sampler.", "forward": "sampler.", "sample": "train."}
USED = {"train.cpu_devices"}


class Point(NamedTuple):
    """A value of a field, and the config that has it."""

    field: str
    value: Any
    config: ConfigDict


def bench_growth(
    kind: str,
    config: ConfigDict,
    over: Sequence[str],
    given: Collection[str],
    num_runs: int,
    out: Path,
) -> list[Row]:
    """One row per value; writes growth.png and growth.json to `out`.

    Args:   kind: of BENCHES.  over: "field=v1,v2", as of variants.parse_over.
            given: fields of the config that flags have set.
    Errors: ValueError, before anything is measured, for a field or value that does not
            fit. A value that fails later, for example by memory, has a "problem".
    """
    points = make_points(kind, config, over, given)
    jax.config.update("jax_platforms", "cpu")  # the devices are for the measurements
    bench = partial(BENCHES[kind][0], num_runs=num_runs, against="", python="")
    results: dict[str, Row] = {}
    with noted() as signals:
        signals.arm()
        for point in tqdm(points, desc=kind, disable=None):
            key = _key(point.config)
            devices = point.config.train.cpu_devices
            try:
                if key not in results:
                    results[key] = run_apart(signals, devices, bench, point.config)
            except Failed as error:
                results[key] = {"problem": str(error)}
            tqdm.write(f"{point.field}={point.value}: {_time(kind, results[key])}")
    rows = [
        {"field": p.field, "value": p.value, "problem": ""} | results[_key(p.config)]
        for p in points
    ]
    figures = json.loads(json.dumps(rows, default=vars))
    write_numbers(out / "growth.json", {"kind": kind, "rows": figures})
    measured = [row for row in rows if not row["problem"]]
    if measured:
        growth.save_growth(out / "growth.png", panels(kind, measured))
    names = shown(kind, measured)
    return [
        {k: row.get(k) for k in ("field", "value", *names, "problem")} for row in rows
    ]


def make_points(
    kind: str, config: ConfigDict, over: Sequence[str], given: Collection[str]
) -> list[Point]:
    """Every value of every field. Errors: ValueError, as of bench_growth."""
    points = []
    for text in over:
        options = parse_over(config, text)
        field = options[0].column
        idle = field.startswith(IDLE[kind]) and field not in USED
        require(not idle, f"launch.bench {kind} does not depend on {field}")
        twice = f"--over {field} is given twice"
        require(field not in [point.field for point in points], twice)
        require(
            field not in given,
            f"--config.{field} and --over {field} set the same field: leave one out",
        )
        for option in options:
            of = with_values(config, option.fields, given)
            points.append(Point(field, option.value, of))
    return points


def shown(kind: str, rows: Sequence[Row]) -> list[str]:
    """The figures that are drawn: of time, of compiling, and of memory."""
    names = [*dict.fromkeys(name for row in rows for name in row)]
    memory = [name for name in names if "memory" in name]
    compiling = [name for name in names if name.startswith("compile")]
    return [BENCHES[kind][1], *compiling, *memory] if rows else []


def panels(kind: str, rows: Sequence[Row]) -> growth.Panels:
    """{figure: {field: (values, medians, lows, highs)}}"""
    fields = [*dict.fromkeys(row["field"] for row in rows)]
    return {
        name: {
            field: _curve([row for row in rows if row["field"] == field], name)
            for field in fields
        }
        for name in shown(kind, rows)
    }


def _curve(rows: Sequence[Row], name: str) -> growth.Curve:
    ends = [row[name] for row in rows]
    ends = [e if isinstance(e, Spread) else Spread(e, e, e, 1) for e in ends]
    values = [_number(row["field"], row["value"]) for row in rows]
    times = np.array([(e.median, e.low, e.high) for e in ends])
    return growth.Curve(values, *times.T)


def _number(field: str, value: Any) -> float | str:
    """Of a shape its number of values; what is no number is drawn by its name."""
    if field == "data.shape":
        return float(np.prod(value))
    return float(value) if isinstance(value, int | float) else str(value)


def _key(config: ConfigDict) -> str:
    return repr(sorted(flat(config).items()))


def _time(kind: str, row: Row) -> str:
    return row.get("problem") or f"{BENCHES[kind][1]}: {row[BENCHES[kind][1]]}"
