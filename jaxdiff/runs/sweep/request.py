"""The request of a sweep: its cases, compared with what its folder holds already."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxdiff import upgrades
from jaxdiff.arrays import require
from jaxdiff.files import read_json
from jaxdiff.lock import is_empty
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate.metrics import METRICS
from jaxdiff.runs.sweep.cases import Case, make_cases
from jaxdiff.runs.sweep.work import Evaluation

RECORD, EVALUATIONS = "sweep.json", "evaluations"


class Request(NamedTuple):
    """What launch.sweep does, checked as far as no data are needed: see `prepare`.

    figures: what the picture shows.  parameters: of runs that were checked before
    """

    base: ConfigDict
    cases: list[Case]
    evaluation: Evaluation | None
    figures: list[str]
    out: Path
    trust: bool
    command: str
    parameters: dict[str, int]

    @property
    def runs(self) -> dict[str, list[Case]]:
        """The cases of each run, in order."""
        names = dict.fromkeys(case.run for case in self.cases)
        return {name: [c for c in self.cases if c.run == name] for name in names}


def prepare(
    base: ConfigDict,
    *,
    out: Path,
    over: Sequence[str],
    change: Sequence[str],
    given: Collection[str],
    evaluation: Evaluation | None,
    figures: list[str],
    trust: bool,
    command: str,
) -> Request:
    """Make and compare the cases, and write nothing. Args: of make_cases, and flags.

    Errors: ValueError, also where OUT holds another sweep, or something else.
    """
    cases = make_cases(base, over, change, given)
    stored = _stored(out)
    if stored:
        _check_adds(stored, base, cases, out)
        evaluation = _same_evaluation(stored, evaluation, out)
    counts = {k: v["parameters"] for k, v in stored.get("cases", {}).items()}
    parameters = {name: count for name, count in counts.items() if count is not None}
    request = Request(base, cases, evaluation, figures, out, trust, command, parameters)
    for name, some in request.runs.items():
        files.check_same(out / name, files.recall(out / name, some[0].trained))
        require(
            evaluation or len(some) == 1,
            f"{' and '.join(case.name for case in some)} differ in sampling alone, "
            "which training does not show: give --metrics or --features",
        )
    measured = [name for name in figures if name in METRICS and not evaluation]
    require(
        not measured, f"--figure={','.join(measured)} needs --metrics or --features"
    )
    return request


def _stored(out: Path) -> dict[str, Any]:
    """sweep.json of OUT, {} for none. Errors: ValueError for what is no sweep."""
    if (out / RECORD).is_file():
        return read_json(out / RECORD)
    if out.is_file() or not is_empty(out):
        raise ValueError(
            f"--out {out} holds something that is no sweep; choose another"
        )
    return {}


def to_dict(request: Request) -> dict[str, Any]:
    """What sweep.json holds before there are results."""
    return {
        "command": request.command,
        "base": request.base.to_dict(),
        "evaluation": request.evaluation and request.evaluation._asdict(),
        "cases": {case.name: _about(request, case) for case in request.cases},
    }


def _about(request, case):
    fields = files.changes(request.base, case.config)
    return {
        "run": case.run,
        "varied": case.varied,
        "fields": {field: new for field, (_, new) in fields.items()},
        "parameters": request.parameters.get(case.name),
    }


def _check_adds(stored, base, cases, out) -> None:
    """ValueError unless the cases are the stored ones, and perhaps more."""
    others = files.differing(upgrades.upgrade(stored["base"]), base)
    cure = "Give the same command (with more values or changes), or another --out"
    require(not others, f"{out} holds a sweep of {'; '.join(others)}. {cure}")
    fields = {c.name: _plain(files.changes(base, c.config)) for c in cases}
    for name, about in stored["cases"].items():
        same = name in fields and fields[name] == _plain(
            {field: (None, new) for field, new in about["fields"].items()}
        )
        require(same, f"{out} holds a sweep with {name}, which this one lacks. {cure}")


def _plain(changes):
    """{field: new value}, where JSON has made lists of tuples."""
    return {k: [*v] if isinstance(v, tuple) else v for k, (_, v) in changes.items()}


def _same_evaluation(stored, evaluation, out):
    """The stored one, if there is one. Errors: ValueError if another is requested."""
    before = stored["evaluation"]
    if before is None:
        return evaluation
    before = Evaluation(**{**before, "metrics": (*before["metrics"],)})
    require(
        evaluation in (None, before),
        f"{out} holds evaluations with {before}; give the same flags, or delete "
        f"{out / EVALUATIONS} and the entry 'evaluation' of {RECORD}",
    )
    return before
