"""launch.sweep and launch.runs as their user runs them."""

import json
import shlex

import pytest

from launch.sweep import command
from tests.launch.conftest import SMALL_IRIS, launch, one_line

SWEEP = ("launch.sweep", *SMALL_IRIS, "--config.train.lr=constant(peak=0.01)")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    top = tmp_path_factory.mktemp("sweeps")
    out = f"--out={top}/out"
    cases = {
        "run": (*SWEEP, out, "--over=train.lr=0.01,1e25", "--config.train.num_steps=8"),
        "runs": ("launch.runs", f"{top}/out", "--json"),
        "collect": (
            *(*SWEEP, out, "--over=train.lr=0.01,1e25", "--collect"),
            "--config.train.num_steps=8",
        ),
        "bad value": (*SWEEP, f"--out={top}/bad", "--over=model.hidden=8,wide"),
        "bad build": (*SWEEP, f"--out={top}/bad", "--over=train.lr=1,cosine(peak=-1)"),
        "modes": (*SWEEP, f"--out={top}/bad", "--over=seed=0,1", "--slurm", "--only=1"),
        "num": (*SWEEP, f"--out={top}/bad", "--over=seed=0,1", "--num=9"),
        "no out": (*SWEEP, "--over=seed=0,1"),
        "no runs": ("launch.runs", f"{top}/nothing"),
    }
    return launch(cases) | {"top": top}


def test_a_run_that_fails_is_named_and_the_others_are_there(outcomes):
    status, out, err = outcomes["run"]
    assert status == 2 and "Traceback" not in err, err
    last = err.splitlines()[-1]
    assert last.startswith("error: 1 of 2 cases failed: lr=1e+25: the ")
    assert "not finite at step" in last
    table = out.splitlines()[-4:]
    assert table[0].split()[:3] == ["train.lr", "step", "loss"]
    assert table[1].endswith("finished") and table[2].endswith("failed")
    top = outcomes["top"] / "out"
    rows = json.loads((top / "sweep.json").read_text())["rows"]
    log = (top / "lr=0.01/metrics.jsonl").read_text().splitlines()
    assert rows[0]["loss"] == json.loads(log[-1])["loss"]
    assert (top / "sweep.png").exists() and (top / "losses.png").exists()


def test_the_runs_of_a_sweep_are_listed_and_collected(outcomes):
    status, out, _ = outcomes["runs"]
    rows = json.loads(out)
    assert status == 0 and rows[0]["train.lr"] == "constant(peak=0.01)"
    assert rows[0]["state"] == "finished" and rows[0]["step"] == 8
    assert outcomes["collect"].status == 0 and "finished" in outcomes["collect"].out


def test_what_does_not_fit_is_one_line_and_nothing_is_written(outcomes):
    one_line(outcomes["bad value"], "model.hidden must be of type int, got 'wide'")
    one_line(outcomes["bad build"], r"lr=cosine_peak=-1: .*peak")
    one_line(outcomes["modes"], "--only and --slurm do not go together")
    one_line(outcomes["num"], "--num needs --metrics or --features")
    one_line(outcomes["no out"], "--out is missing")
    one_line(outcomes["no runs"], "there is no folder")
    assert not (outcomes["top"] / "bad").exists()


@pytest.mark.parametrize(
    "mode",
    [
        *("-slurm", "--slurm", "--noslurm", "--collect=false", "-only=3"),
        *("--only 3", "-only 3", "--slurm=true"),
    ],
)
def test_the_command_of_a_task_lacks_the_mode_of_this_one(mode):
    kept = ["--over", "seed=0,1", "--out=only out"]
    words = shlex.split(command([kept[0], kept[1], *mode.split(), kept[2]]))
    assert words == ["python", "-m", "launch.sweep", *kept]
