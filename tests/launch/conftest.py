"""Launchers under test: `launch(cases)` and a trained workdir of each kind."""

import atexit
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CACHE = tempfile.mkdtemp(prefix="jaxdiff-tests-")
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)

SMALL_IRIS = (
    "--config=configs/iris.py:smoke",
    "--config.model.hidden=8",
    "--config.model.num_blocks=1",
    "--config.data.columns=('petal length (cm)', 'class')",
)
SMALL_IMAGES = (
    "--config=configs/digits.py:smoke",
    "--config.data.shape=(4, 4, 1)",
    "--config.data.num_classes=3",
    "--config.model.name=speck",  # known to the forker alone
    "--config.train.cpu_devices=1",
    "--config.train.num_preview=3",
    "--config.train.lr=constant(peak=0.05)",  # so that two steps leave a mark
)


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@functools.cache
def forker() -> subprocess.Popen:
    """One for all tests of a process: importing JAX and what launchers need is dear."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("forker.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    atexit.register(process.communicate)  # no more requests: it ends
    return process


def launch(cases: dict[str, tuple[str, ...]]) -> dict[str, Outcome]:
    """Run {name: (module, *arguments)}, one after the other."""
    process = forker()
    assert process.stdin and process.stdout
    timer = threading.Timer(600, process.kill)
    timer.start()
    try:
        print(json.dumps(cases), file=process.stdin, flush=True)
        line = process.stdout.readline()
    finally:
        timer.cancel()
    assert line, f"the launchers' process ended: {process.poll()}"
    return {k: Outcome(*v) for k, v in json.loads(line).items()}


def environment() -> dict[str, str]:
    """What one launcher compiles the next ones find: they are small, and many."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TQDM_DISABLE": "1",
        "JAX_COMPILATION_CACHE_DIR": CACHE,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def one_line(outcome, says):
    assert outcome.status == 2, outcome
    assert "Traceback" not in outcome.err
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("error: ")
    assert re.search(says, lines[0]), lines[0]
    assert len(lines[0]) < 700


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Workdirs of two steps of a table and of labelled images, and their outcomes."""
    folder = tmp_path_factory.mktemp("trained")
    table, images = folder / "table", folder / "images"
    outcomes = launch(
        {
            "table": ("launch.train", *SMALL_IRIS, f"--workdir={table}"),
            "images": ("launch.train", *SMALL_IMAGES, f"--workdir={images}"),
        }
    )
    for outcome in outcomes.values():
        assert outcome.status == 0, outcome.err
    return {"table": table, "images": images, "outcomes": outcomes}
