"""launch.evaluate, as users run it: killed and resumed, its table, mistakes."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from jaxdiff.runs.evaluate.metrics import METRICS
from tests.launch.conftest import ROOT, environment, launch, one_line

NUM = 6000  # six files of samples
OF_BPD = ("estimates=flow", "num_bpd=1000", "steps=100", "cleanest=.1")


def arguments(workdir, out):
    return (
        *("launch.evaluate", f"--workdir={workdir}", f"--out={out}", f"--num={NUM}"),
        *("--metrics=columns,bpd", "--estimates=continuous", "--steps=5"),
        "--config.sampler.num_steps=5",
    )


@pytest.fixture
def killed(trained, tmp_path_factory):
    """A folder whose evaluation was killed after two files of samples, or later."""
    out = tmp_path_factory.mktemp("killed") / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments(trained["table"], out)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not (out / "samples" / "samples-00001.npz").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "evaluation.json").exists()
    return out


# What is stopped in one process: tests/runs/evaluate/test_run.py.
@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_same_numbers(killed, trained, tmp_path):
    first = killed / "samples" / "samples-00000.npz"
    before = first.stat().st_mtime_ns
    workdir = trained["table"]
    done = launch(
        {
            "again": arguments(workdir, killed),
            "whole": arguments(workdir, tmp_path / "whole"),
            "other": (*arguments(workdir, killed), "--seed=1"),
        }
    )
    assert done["again"].status == done["whole"].status == 0, done
    assert first.stat().st_mtime_ns == before
    again, whole = (
        json.loads((out / "evaluation.json").read_text())
        for out in (killed, tmp_path / "whole")
    )
    assert again["rows"] == whole["rows"] and len(again["rows"]) == 3
    assert "apart: class" in done["again"].out
    one_line(done["other"], "another seed")


def test_mistakes(trained, tmp_path):
    workdir, images = trained["table"], trained["images"]
    done = launch(
        {
            "no out": ("launch.evaluate", f"--workdir={workdir}"),
            "no features": (
                *("launch.evaluate", f"--workdir={images}", f"--out={tmp_path / 'x'}"),
                "--metrics=frechet",
            ),
            "one column": (
                *("launch.evaluate", f"--workdir={workdir}", f"--out={tmp_path / 'x'}"),
                "--metrics=correlations",
            ),
            **{
                flag: (
                    *("launch.evaluate", f"--workdir={workdir}", f"--{flag}"),
                    *("--metrics=columns", f"--out={tmp_path / 'x'}"),
                )
                for flag in OF_BPD
            },
        }
    )
    for name, text in (
        ("no out", "--out is missing"),
        ("no features", "needs --features=PATH"),
        ("one column", "needs 2 columns of numbers, the data have 1"),
        *((flag, f"{flag.split('=')[0]} is for the metric bpd") for flag in OF_BPD),
    ):
        one_line(done[name], text)
    assert not (tmp_path / "x").exists()


def test_help_lists_the_metrics():
    """From the file: a module that defines flags cannot be imported twice."""
    (text,) = (
        ast.literal_eval(node.args[2])
        for node in ast.walk(ast.parse((ROOT / "launch" / "evaluate.py").read_text()))
        if isinstance(node, ast.Call) and node.args
        if ast.unparse(node.args[0]) == "'metrics'"
    )
    names = re.sub(r"\([^)]*\)", "", text.partition(".")[0])
    listed = {*re.findall(r"\w+", names)} - {"Of", "of", "images", "tables", "both"}
    assert listed == {*METRICS}, "list the metrics in --metrics of launch/evaluate.py"
