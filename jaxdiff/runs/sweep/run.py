"""A sweep: its cases checked, run in turn or one by one, and collected.

OUT/sweep.json  the plan, and the figures of every case    OUT/RUN/  the workdirs
OUT/evaluations/CASE/                                      OUT/table.md  sweep.png  losses.png
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict
from tqdm.auto import tqdm

from jaxdiff import schema
from jaxdiff.arrays import require
from jaxdiff.files import read_json, write_json
from jaxdiff.lock import is_empty, locked
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate.metrics import METRICS
from jaxdiff.runs.listing import run as listing
from jaxdiff.runs.sweep import results, work
from jaxdiff.runs.sweep.apart import Failed, run_apart
from jaxdiff.runs.sweep.cases import Case, make_cases
from jaxdiff.runs.sweep.work import Evaluation
from jaxdiff.stopping import Noted, noted

PLAN, EVALUATIONS = "sweep.json", "evaluations"


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
    parameters = {k: v["parameters"] for k, v in stored.get("cases", {}).items()}
    request = Request(
        base, cases, evaluation, figures, out, trust, command, parameters
    )
    for name, some in request.runs.items():
        files.check_same(out / name, files.recall(out / name, some[0].trained))
        require(
            evaluation or len(some) == 1,
            f"{' and '.join(case.name for case in some)} differ in sampling alone, "
            "which training does not show: give --metrics or --features",
        )
    measured = [name for name in figures if name in METRICS and not evaluation]
    require(not measured, f"--figure={','.join(measured)} needs --metrics or --features")
    return request


def _stored(out: Path) -> dict[str, Any]:
    """The plan in OUT, {} for none. Errors: ValueError for a folder of other things."""
    if (out / PLAN).is_file():
        return read_json(out / PLAN)
    if out.is_file() or not is_empty(out):
        raise ValueError(f"--out {out} holds something that is no sweep; choose another")
    return {}


def _plan(request: Request) -> dict[str, Any]:
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
        "parameters": request.parameters[case.name],
    }


def _check_adds(stored, base, cases, out) -> None:
    """ValueError unless the cases are the stored ones, and perhaps more."""
    others = files.differing(schema.upgrade(stored["base"]), base)
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
        f"{out / EVALUATIONS} and the entry 'evaluation' of {PLAN}",
    )
    return before


def run(request: Request) -> list[dict[str, Any]]:
    """Check, train and evaluate what is missing, in turn. Returns the rows of results.

    Errors: ValueError, before any run; Stopped after a signal, when the run is saved.
    """
    # the devices are for the runs, each in a process of its own
    jax.config.update("jax_platforms", "cpu")
    with locked(request.out), noted() as signals:
        signals.arm()
        request = write_plan(request, signals)
        problems = {}
        for name, cases in request.runs.items():
            _run_apart(request, name, cases, signals, problems)
    return collect(request, problems)


def write_plan(request: Request, signals: Noted) -> Request:
    """Build what was not built before, and write sweep.json; returns the request with
    all numbers of parameters. Errors: ValueError that names the case.
    """
    missing = {
        case.name: (case.config, case.trained)
        for case in request.cases
        if case.name not in request.parameters
    }
    if missing:
        how = request.evaluation, request.trust
        devices = request.base.train.cpu_devices
        counts = run_apart(signals, devices, work.check, missing, *how)
        request = request._replace(parameters=request.parameters | counts)
    write_json(request.out / PLAN, _plan(request))
    return request


def _run_apart(request, name, cases, signals, problems) -> None:
    """Train a run and evaluate its cases, as far as that is missing.

    problems: case -> why it failed, to be added to.
    """
    trained, devices = cases[0].trained, cases[0].trained.train.cpu_devices
    numbers = [*request.runs]
    here = f"run {numbers.index(name) + 1} of {len(numbers)}, {name}"
    try:
        if not is_finished(request.out / name):
            tqdm.write(here)
            args = trained, request.out / name, request.trust
            run_apart(signals, devices, work.train, *args)
    except Failed as error:
        tqdm.write(f"{here}: failed: {error}")
        problems |= {case.name: str(error) for case in cases}
        return
    for case, args in _missing(request, cases):
        tqdm.write(f"{here}: evaluating {case.name}")
        try:
            run_apart(signals, devices, work.evaluate, *args)
        except Failed as error:
            tqdm.write(f"{here}: {case.name} failed: {error}")
            problems[case.name] = str(error)


def _missing(request, cases):
    """The cases to evaluate, with the arguments of work.evaluate."""
    for case in cases if request.evaluation else ():
        out = request.out / EVALUATIONS / case.name
        if not work.evaluated(out):
            run = request.out / case.run
            yield case, (case.config, run, out, request.evaluation, request.trust)


def run_one(request: Request, number: int) -> None:
    """Train and evaluate one run in this process: a task of a SLURM array."""
    names = [*request.runs]
    require(
        0 <= number < len(names),
        f"--only={number} must be from 0 to {len(names) - 1}: there are {len(names)} "
        "runs",
    )
    cases = request.runs[names[number]]
    if not is_finished(request.out / names[number]):
        work.train(cases[0].trained, request.out / names[number], request.trust)
    for _, args in _missing(request, cases):
        work.evaluate(*args)


def is_finished(workdir: Path) -> bool:
    """Whether a run has its last line, its last checkpoint and no writer."""
    if not files.holds_run(workdir):
        return False
    state = listing.read(workdir)
    step = state.last.get("step", -1)
    whole = (workdir / files.CHECKPOINTS / str(step)).is_dir()
    return state.word == "finished" and whole and not state.problem


def collect(request: Request, problems: dict[str, str]) -> list[dict[str, Any]]:
    """Write the table and the pictures of what is there; returns a row for each case.

    problems: case -> why it failed.
    """
    states = {name: listing.read(request.out / name) for name in request.runs}
    rows = []
    for case in request.cases:
        state = states[case.run]
        done = work.evaluated(request.out / EVALUATIONS / case.name)
        rows.append(
            {
                "case": case.name,
                **case.varied,
                "step": state.last.get("step"),
                **listing.figures_of(state.last),
                **done,
                "parameters": request.parameters.get(case.name),
                "seconds": state.last.get("seconds"),
                "state": "failed" if case.name in problems else state.word,
                "problem": problems.get(case.name, state.problem),
            }
        )
    logs = {name: files.read_metrics(request.out / name) for name in request.runs}
    table = results.write(
        request.out, [*request.cases[0].varied], rows, logs, request.figures
    )
    write_json(request.out / PLAN, _plan(request) | {"rows": rows, "means": table})
    return rows


SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --output={out}/slurm-%a.txt
# SLURM warns a task 120 seconds before its end; the run is saved and can be resumed
#SBATCH --signal=B:TERM@120
# add what your cluster needs, such as: #SBATCH --gpus=1 --time=04:00:00
# afterwards, for the table and the pictures:
#   {command} --collect
cd {here} || exit 1
exec {command} --only="$SLURM_ARRAY_TASK_ID"
"""


def write_script(request: Request) -> Path:
    """Check everything, and write sweep.json and sweep.sbatch, a task for each run."""
    jax.config.update("jax_platforms", "cpu")
    with locked(request.out), noted() as signals:
        signals.arm()
        request = write_plan(request, signals)
        out, path = request.out.resolve(), request.out / "sweep.sbatch"
        text = SCRIPT.format(
            name=out.name,
            last=len(request.runs) - 1,
            out=out,
            here=Path.cwd(),
            command=request.command,
        )
        path.write_text(text, encoding="utf-8")
    return path
