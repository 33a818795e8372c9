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
from jaxdiff.runs.sweep.cases import EVALUATIONS, RECORD, Case, make_cases
from jaxdiff.runs.sweep.results import check_figures
from jaxdiff.runs.sweep.work import Evaluation


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
    part: bool = False,
) -> Request:
    """Make and compare the cases, and write nothing. Args: of make_cases, and flags.

    part: whether OUT may hold a sweep of more cases: it has grown since an array of
          tasks was written.

    Errors: ValueError, also where OUT holds another sweep, or something else.
    """
    cases = make_cases(base, over, change, given)
    stored, counts = read(out), {}
    if stored:
        _check_adds(stored, base, cases, out, part)
        evaluation = _same_evaluation(stored, evaluation, out)
        if evaluation == stored["evaluation"]:  # another one is still to be checked
            counts = {k: v["parameters"] for k, v in stored["cases"].items()}
    parameters = {name: count for name, count in counts.items() if count is not None}
    request = Request(base, cases, evaluation, figures, out, trust, command, parameters)
    for name, some in request.runs.items():
        trained = files.recall(out / name, some[0].trained)
        files.check_same(out / name, trained, "--out")
        require(
            evaluation or len(some) == 1,
            f"{' and '.join(case.name for case in some)} differ in sampling alone, "
            "which training does not show: give --metrics or --features",
        )
    metrics = evaluation.metrics if evaluation else ()
    measures = any(case.config.train.evaluate_every for case in cases)
    check_figures(figures, [*cases[0].varied], metrics, measures)
    return request


def read(out: Path) -> dict[str, Any]:
    """sweep.json of OUT, with an Evaluation and today's fields; {} for none.

    Errors: ValueError for what is no sweep, which names the file.
    """
    path = out / RECORD
    if path.is_file():
        cure = "bring it back from a copy, or choose another --out"
        raw = read_json(path, cure)
        try:
            how = raw["evaluation"]
            how = how and Evaluation(**{**how, "metrics": (*how["metrics"],)})
            cases = {
                name: {k: about[k] for k in ("fields", "parameters")}
                for name, about in raw["cases"].items()
            }
            for about in cases.values():
                _ = about["fields"].items()
                about["parameters"] = (count := about["parameters"]) and int(count)
            base = upgrades.upgrade(raw["base"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{path} is of no sweep, or damaged or edited ({error}); {cure}"
            ) from None
        return {"base": base, "cases": cases, "evaluation": how}
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


def check_holds(request: Request) -> None:
    """ValueError unless OUT holds a sweep of these very cases and evaluations."""
    stored = read(request.out)
    cases, cure = stored.get("cases", {}), "give the same command without --collect"
    require(stored, f"--collect: {request.out} holds no sweep yet; {cure} first")
    others = [case.name for case in request.cases if case.name not in cases]
    require(
        not others, f"--collect: {request.out} lacks {', '.join(others)}; {cure} first"
    )
    require(
        request.evaluation == stored["evaluation"],
        f"--collect: {request.out} was not evaluated so; {cure} first",
    )


def _check_adds(stored, base, cases, out, part) -> None:
    """ValueError unless the cases are the stored ones, and perhaps more; or a part."""
    others = files.differing(stored["base"], base)
    cure = "Give the same command (with more values or changes), or another --out"
    require(not others, f"{out} holds a sweep of {'; '.join(others)}. {cure}")
    fields = {c.name: _plain(files.changes(base, c.config)) for c in cases}
    for name, about in stored["cases"].items():
        if part and name not in fields:
            continue
        same = name in fields and fields[name] == _plain(
            {field: (None, new) for field, new in about["fields"].items()}
        )
        require(same, f"{out} holds a sweep with {name}, which this one lacks. {cure}")


def _plain(changes):
    """{field: new value}, where JSON has made lists of tuples."""
    return {k: [*v] if isinstance(v, tuple) else v for k, (_, v) in changes.items()}


def _same_evaluation(stored, evaluation, out):
    """The stored one, if there is one. Errors: ValueError if another is requested and
    there are results of it.
    """
    before, results = stored["evaluation"], out / EVALUATIONS
    if None in (before, evaluation):
        return before or evaluation
    require(
        evaluation == before or is_empty(results),
        f"{results} holds evaluations with {' '.join(before.flags())}: give the same "
        "flags, or delete that folder",
    )
    return evaluation
