"""launch.train: what it prints and leaves, kill -9 and non-finite losses."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxdiff.runs import workdir
from jaxdiff.runs.train import setup
from jaxdiff.train import checkpoint
from tests.launch.conftest import ROOT, SMALL_IRIS, environment, launch


def numbers(folder):
    rows = workdir.read_metrics(folder)
    timing = ("seconds", "examples_per_second")
    return [{k: v for k, v in row.items() if k not in timing} for row in rows]


def read_state(folder):
    run = setup.prepare(workdir.load_config(folder), folder)
    with checkpoint.open_manager(folder / workdir.CHECKPOINTS, keep_last=9) as manager:
        return checkpoint.restore(manager, jax.eval_shape(run.init))


def test_dry_run_prints_and_writes_nothing(tmp_path):
    new = tmp_path / "new"
    done = launch(
        {
            "with": ("launch.train", *SMALL_IRIS, f"--workdir={new}", "--dry_run"),
            "without": ("launch.train", *SMALL_IRIS, "--dry_run"),
            "chosen": (
                *("launch.train", "--config=configs/pictures.py:synthetic"),
                *("--config.data.num_examples=4", "--config.train.num_steps=7"),
                "--dry_run",
            ),
        }
    )
    chosen = done.pop("chosen")  # by a rule, but not what a flag sets
    assert chosen.status == 0 and "train.num_steps         7\n" in chosen.out
    assert "train.batch_size=32" in chosen.err and "num_steps=" not in chosen.err
    for outcome in done.values():
        assert outcome.status == 0 and "Traceback" not in outcome.err
        # hidden 8, columns 1 + 3: by hand, dense (i, o) = i o + o
        total = 2 * 72 + (40 + 16 + 72) + (72 + 16 + 72) + 36
        rows = dict(re.findall(r"(?m)^(\S.*?)  +(\S.*)$", outcome.out))
        assert rows["out"] == "36" and rows["train.batch_size"] == "4"
        assert re.search(rf"(?m)^all +{total}$", outcome.out)
    assert not new.exists() and not (ROOT / "runs" / "dry").exists()


def test_more_steps_continue_a_run(tmp_path):
    workdir_flag = f"--workdir={tmp_path}/run"
    done = launch(
        {
            "two": ("launch.train", *SMALL_IRIS, workdir_flag),
            "four": (
                *("launch.train", *SMALL_IRIS, workdir_flag),
                "--config.train.num_steps=4",
            ),
        }
    )
    assert [o.status for o in done.values()] == [0, 0], done
    assert "resuming" in done["four"].out + done["four"].err
    assert "at step 2" in done["four"].out + done["four"].err
    assert [row["step"] for row in numbers(tmp_path / "run")] == [1, 2, 3, 4]
    assert (
        json.loads((tmp_path / "run/config.json").read_text())["train"]["num_steps"]
        == 4
    )


def test_a_loss_that_is_not_finite_ends_with_a_status(tmp_path):
    done = launch(
        {
            "nan": (
                *("launch.train", *SMALL_IRIS, f"--workdir={tmp_path}/run"),
                *(
                    "--config.train.lr=constant(peak=1e25)",
                    "--config.train.checkpoint_every=1",
                    "--config.train.num_steps=20",
                ),
            )
        }
    )["nan"]
    assert done.status != 0 and "Traceback" not in done.err
    assert "is not finite at step" in done.err.splitlines()[-1]
    assert "the checkpoint of step" in done.err
    stored = read_state(tmp_path / "run")
    assert stored is not None
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(stored))


STEPS = 300
LONG = (
    *(*SMALL_IRIS, f"--config.train.num_steps={STEPS}"),
    *("--config.train.steps_per_call=2", "--config.train.log_every=10"),
    *("--config.train.checkpoint_every=10", "--config.train.batch_size=32"),
)


def start(folder, as_for_a_user):
    """The process of a long run, which compiles anew; as for a user in full, too."""
    left_out = {"JAX_COMPILATION_CACHE_DIR"}  # it may be killed as it writes there
    if as_for_a_user:
        left_out.add("XLA_FLAGS")
    return subprocess.Popen(
        [sys.executable, "-m", "launch.train", *LONG, f"--workdir={folder}"],
        cwd=ROOT,
        env={k: v for k, v in environment().items() if k not in left_out},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def complete(folders, as_for_a_user):
    """The same command in every folder, to its end."""
    if not as_for_a_user:
        commands = {str(f): ("launch.train", *LONG, f"--workdir={f}") for f in folders}
        for outcome in launch(commands).values():
            assert outcome.status == 0, outcome.err
        return
    for process in [start(folder, as_for_a_user) for folder in folders]:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err


# What ends after k steps and resumes: tests/runs/train/test_loop.py.
@pytest.mark.slow
@pytest.mark.parametrize("as_for_a_user", [False, True])
def test_kill_9_and_the_same_command_are_one_run_to_the_bit(tmp_path, as_for_a_user):
    """Law 3, for real: killed without warning at a random moment, then resumed."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(killed, as_for_a_user)
    checkpoints = killed / workdir.CHECKPOINTS
    deadline = time.monotonic() + 300
    while not any(p.name.isdigit() for p in checkpoints.glob("*")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    delay = random.SystemRandom().uniform(0.0, 0.8)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    reached = max(int(p.name) for p in checkpoints.glob("*") if p.name.isdigit())
    assert 10 <= reached < STEPS, f"killed after {delay:.3f} s at {reached}"
    complete([killed, whole], as_for_a_user)
    a, b = read_state(killed), read_state(whole)
    assert a is not None and b is not None and int(a.step) == STEPS
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y, err_msg=f"killed after {delay:.3f} s")
    assert numbers(killed) == numbers(whole)
    assert [row["step"] for row in numbers(killed)] == list(range(10, STEPS + 1, 10))


def test_a_choice_made_by_a_flag_puts_back_what_it_does_not_take():
    """One line reports it; made-up data have the shape of the config's own."""
    made_up = ("--config.data.name=synthetic", "--dry_run")
    done = launch(
        {
            "iris": ("launch.train", "--config=configs/iris.py", *made_up),
            "cascade": (
                "launch.train",
                "--config=configs/fashion_cascade.py",
                *(*made_up, "--config.model.channels=8"),
            ),
            "shape": (
                *("launch.train", "--config=configs/mnist_linear.py", *made_up),
                "--config.data.shape=(16, 16, 1)",
            ),
            "table": (
                *("launch.train", "--config=configs/digits.py", "--dry_run"),
                *("--config.data.name=iris", "--config.model.name=mlp"),
            ),
        }
    )
    notes = {}
    for name, outcome in done.items():
        assert outcome.status == 0, (name, outcome.err)
        lines = [line for line in outcome.err.splitlines() if "note:" in line]
        assert len(lines) == 1, outcome.err
        notes[name] = lines[0]
    assert "configs/iris.py:synthetic" in notes["iris"]
    for name, shape in (
        ("iris", ""),
        ("cascade", "(28, 28, 1)"),
        ("shape", "(16, 16, 1)"),
    ):
        rows = dict(re.findall(r"(?m)^(\S+)  +(\S.*)$", done[name].out))
        assert rows["data.name"] == "synthetic", name
        assert not shape or rows["data.shape"] == shape, name
    assert notes["table"] == (
        "note: with data.name=iris, model.name=mlp nothing takes the config's "
        "model.channels, sampler.guidance: back at the default"
    )
    assert "sampler.guidance" not in done["table"].out  # at its default
