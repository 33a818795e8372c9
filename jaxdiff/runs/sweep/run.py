"""A sweep: its cases checked, run in turn or one by one, and collected.

OUT/sweep.json  the cases, and the figures of each     OUT/RUN/  the workdirs
OUT/evaluations/CASE/     OUT/table.md     OUT/sweep.png    OUT/losses.png
"""

import shlex
from pathlib import Path
from typing import Any

import jax
from tqdm.auto import tqdm

from jaxdiff.apart import Failed, run_apart
from jaxdiff.arrays import require
from jaxdiff.files import write_json, write_text
from jaxdiff.lock import locked
from jaxdiff.runs import workdir as files
from jaxdiff.runs.listing import run as listing
from jaxdiff.runs.sweep import results, work
from jaxdiff.runs.sweep.cases import EVALUATIONS, RECORD, SCRIPT, Case
from jaxdiff.runs.sweep.request import Request, check_holds, to_dict
from jaxdiff.stopping import Noted, noted


def run(request: Request) -> list[dict[str, Any]]:
    """Check, train and evaluate what is missing, in turn. Returns the rows of results.

    Errors: ValueError, before any run; Stopped after a signal, when the run is saved.
    """
    # the devices are for the runs, each in a process of its own
    jax.config.update("jax_platforms", "cpu")
    with locked(request.out), noted() as signals:
        signals.arm()
        request = write_record(request, signals)
        problems = {}
        for name, cases in request.runs.items():
            _run_apart(request, name, cases, signals, problems)
    return collect(request, problems)


def write_record(request: Request, signals: Noted) -> Request:
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
    write_json(request.out / RECORD, to_dict(request))
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
    except (Failed, OSError) as error:
        tqdm.write(f"{here}: failed: {error}")
        problems |= {case.name: str(error) for case in cases}
        return
    for case in cases:
        try:
            if args := _to_evaluate(request, case):
                tqdm.write(f"{here}: evaluating {case.name}")
                run_apart(signals, devices, work.evaluate, *args)
        except (ValueError, OSError) as error:
            tqdm.write(f"{here}: {case.name} failed: {error}")
            problems[case.name] = str(error)


def _to_evaluate(request: Request, case: Case) -> tuple:
    """The arguments of work.evaluate, () for a case that needs none."""
    how, out = request.evaluation, request.out / EVALUATIONS / case.name
    workdir = request.out / case.run
    if not how or work.evaluated(out, workdir):
        return ()
    return case.config, workdir, out, how, request.trust


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
    for case in cases:
        if args := _to_evaluate(request, case):
            work.evaluate(*args)


def is_finished(workdir: Path) -> bool:
    """Whether a run has its last line, its last checkpoint and no writer."""
    if not files.holds_run(workdir):
        return False
    state = listing.read(workdir)
    step = state.last.get("step", -1)
    whole = (workdir / files.CHECKPOINTS / str(step)).is_dir()
    return state.word == "finished" and whole and not state.problem


def gather(request: Request) -> list[dict[str, Any]]:
    """Collect a sweep that is there. Errors: ValueError for another, or for none."""
    check_holds(request)
    with locked(request.out):
        return collect(request, {})


def collect(request: Request, problems: dict[str, str]) -> list[dict[str, Any]]:
    """Write the table and the pictures of what is there; returns a row for each case.

    problems: case -> why it failed.
    """
    states = {name: listing.read(request.out / name) for name in request.runs}
    logs, unread = _logs(request)
    rows = []
    for case in request.cases:
        state, workdir = states[case.run], request.out / case.run
        done, problem = {}, unread.get(case.run, state.problem)
        try:
            done = work.evaluated(request.out / EVALUATIONS / case.name, workdir)
        except ValueError as error:
            problem = str(error)
        rows.append(
            {
                "case": case.name,
                "run": case.run,
                **case.varied,
                "step": state.last.get("step"),
                **listing.figures_of(state.last),
                **done,
                "parameters": request.parameters.get(case.name),
                "seconds": state.last.get("seconds"),
                "state": "failed" if case.name in problems else state.word,
                "problem": problems.get(case.name, problem * files.holds_run(workdir)),
            }
        )
    varied = [*request.cases[0].varied]
    table = results.means(rows, varied)
    write_json(request.out / RECORD, to_dict(request) | {"rows": rows, "means": table})
    results.write(request.out, varied, rows, table, logs, request.figures)
    return rows


def _logs(request):
    """The rows of each log that can be read, and why the others cannot."""
    logs, problems = {}, {}
    for name in request.runs:
        try:
            logs[name] = files.read_metrics(request.out / name)
        except ValueError as error:
            logs[name], problems[name] = [], str(error)
    return logs, problems


TEXT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --output={log}
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
        request = write_record(request, signals)
        out, path = request.out.resolve(), request.out / SCRIPT
        text = TEXT.format(
            name=shlex.quote(out.name),
            last=len(request.runs) - 1,
            log=shlex.quote(f"{out}/slurm-%a.txt"),
            here=shlex.quote(str(Path.cwd())),
            command=request.command,
        )
        write_text(path, text)
    return path
