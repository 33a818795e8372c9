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
from jaxdiff.notes import note
from jaxdiff.plots import growth
from jaxdiff.plots.page import files_of
from jaxdiff.runs.bench import speed
from jaxdiff.schema import flat
from jaxdiff.stopping import Noted, Stopped, noted
from jaxdiff.train.timing import Spread
from jaxdiff.variants import parse_axes, with_values

Row = dict[str, Any]

# What is measured, by kind, and the name of its time.
BENCHES: dict[str, tuple[Callable[..., Row], str]] = {
    "step": (speed.bench_step, "ms per step"),
    "forward": (speed.bench_forward, "ms"),
    "sample": (speed.bench_sample, "seconds"),
}
# Fields of these blocks change nothing, but for the ones named.
IDLE = {
    **dict.fromkeys(("step", "forward"), ("sampler.", "train.")),
    "sample": ("train.",),
}
USED = {
    "step": (
        *("batch_size", "accumulate", "steps_per_call", "optimizer", "lr", "clip_norm"),
        *("ema", "ema_widths", "cpu_devices"),
    ),
    "forward": ("batch_size", "cpu_devices"),
    "sample": ("cpu_devices",),
}
PICTURE, RECORD = "growth.png", "growth.json"


class Point(NamedTuple):
    """A value of a field, and the config that has it."""

    field: str
    value: Any
    config: ConfigDict

    @property
    def name(self) -> str:
        return f"{self.field}={self.value}"


def bench_growth(
    kind: str,
    config: ConfigDict,
    over: Sequence[str],
    given: Collection[str],
    num_runs: int,
    out: Path,
) -> list[Row]:
    """One row per value; writes growth.json after each, and growth.png, to `out`.

    Args:   kind: of BENCHES.  over: "field=v1,v2".  given: fields that flags have set.
    Errors: before anything is measured ValueError, for a field or value that does not
            fit, and OSError. A value that fails later, for example because memory is
            exhausted, has a "problem". Stopped by a signal.
    """
    points = make_points(kind, config, over, given)
    out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_platforms", "cpu")  # the devices are for the measurements
    bench = partial(BENCHES[kind][0], num_runs=num_runs, against="", python="")
    rows: list[Row] = []
    with noted() as signals:
        signals.arm()
        check(kind, points, signals)
        results: dict[str, Row] = {}
        for point in tqdm(points, desc=kind, disable=None):
            key, devices = _key(point.config), point.config.train.cpu_devices
            try:
                if key not in results:
                    results[key] = run_apart(signals, devices, bench, point.config)
            except Failed as error:
                results[key] = {"problem": str(error)}
            except Stopped:
                note(f"{len(rows)} of {len(points)} values are in {out / RECORD}")
                raise
            about = {"field": point.field, "value": point.value, "problem": ""}
            rows.append(about | results[key])
            time = rows[-1]["problem"] or rows[-1][BENCHES[kind][1]]
            tqdm.write(f"{point.name}: {time}")
            plain = json.loads(json.dumps(rows, default=vars))
            write_numbers(out / RECORD, {"kind": kind, "rows": plain})
    measured = [row for row in rows if not row["problem"]]
    for file in files_of(out / PICTURE):  # an older one is of other numbers
        file.unlink(missing_ok=True)
    if measured:
        growth.save_growth(out / PICTURE, panels(kind, measured), BENCHES[kind][1])
    names = ("field", "value", *shown(kind, measured), "problem")
    return [{name: row.get(name) for name in names} for row in rows]


def make_points(
    kind: str, config: ConfigDict, over: Sequence[str], given: Collection[str]
) -> list[Point]:
    """Every value of every field. Errors: ValueError, as of bench_growth."""
    points = []
    for options in parse_axes(config, over, given):
        field, values = options[0].column, [option.value for option in options]
        block, _, name = field.rpartition(".")
        idle = f"{block}." in IDLE[kind] and (block, name) not in [
            ("train", used) for used in USED[kind]
        ]
        require(not idle, f"launch.bench {kind} does not depend on {field}")
        for value in values:
            once = values.count(value) == 1
            require(once, f"--over {field}: {value} is given twice")
        for option in options:
            of = with_values(config, option.fields, given)
            points.append(Point(field, option.value, of))
    return points


def check(kind: str, points: Sequence[Point], signals: Noted) -> None:
    """ValueError that names the first value with which nothing can be measured."""
    for devices in {point.config.train.cpu_devices for point in points}:
        some = [p for p in points if p.config.train.cpu_devices == devices]
        configs = {p.name: (p.field, p.config) for p in some}
        run_apart(signals, devices, _check, kind, configs)


def _check(kind: str, configs: dict[str, tuple[str, ConfigDict]]) -> None:
    for name, (field, config) in configs.items():
        require(
            field != "train.cpu_devices" or jax.default_backend() == "cpu",
            f"{name} changes nothing: the devices here are {jax.devices()[0].platform}",
        )
        try:
            speed.prepared(kind, config)
        except (ValueError, OSError) as error:
            raise ValueError(f"{name}: {error}") from None


def shown(kind: str, rows: Sequence[Row]) -> list[str]:
    """The figures that are drawn: of time, of compiling, and of memory, for which a
    process, with Python and the compiler in it, is only taken where nothing else is.
    """
    names = [*dict.fromkeys(name for row in rows for name in row)]
    memory = [name for name in names if "memory" in name]
    memory = [name for name in memory if "process" not in name] or memory
    compiling = [name for name in names if name.startswith("compile")]
    return [BENCHES[kind][1], *compiling, *memory] if rows else []


def panels(kind: str, rows: Sequence[Row]) -> growth.Panels:
    """{figure: {field: curve}}"""
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
    times = np.array([(e.median, e.low, e.high) for e in ends])
    return growth.Curve([row["value"] for row in rows], *times.T)


def _key(config: ConfigDict) -> str:
    return repr(sorted(flat(config).items()))
