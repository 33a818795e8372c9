"""launch.runs: what it reads of runs, also of damaged and running ones."""

import json
import subprocess
import sys

import pytest

from jaxdiff import schema
from jaxdiff.lock import is_held, locked
from jaxdiff.runs import workdir
from jaxdiff.runs.listing import run as listing
from tests.launch.conftest import ROOT, environment
from tests.runs.conftest import tiny_config


def write_run(folder, *steps, **changed):
    """The small files of a run that has logged those steps."""
    workdir.save_config(folder, tiny_config(**changed))
    lines = [{"step": n, "loss": 10 / n, "lr": 1e-3, "val": n} for n in steps]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / workdir.METRICS).write_text(text)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("runs")
    write_run(top / "a", 4, 8)
    write_run(top / "deep/er/b", 2, seed=3)
    log = write_run(top / "c", 2, 4) / workdir.METRICS
    log.write_text(log.read_text() + '{"step": 6, "lo')
    (write_run(top / "d", 4) / workdir.CONFIG).write_text('{"train": {"no_such": 1}}')
    (write_run(top / "e", 8) / workdir.METRICS).write_text("nothing\n")
    (top / "others").mkdir()
    (top / "others" / workdir.CONFIG).write_text("{}")  # of another program
    write_run(top / "a" / "inside", 2)
    return top


def rows(folder, sort=""):
    every = listing.rows_of(folder, sort)
    return {row["run"].removeprefix(f"{folder}/"): row for row in every}


def test_each_run_has_its_step_figures_state_and_differences(folder):
    by_name = rows(folder)
    assert [*by_name] == ["a", "c", "d", "deep/er/b", "e"]  # and not a/inside
    a, b, c = (by_name[name] for name in ("a", "deep/er/b", "c"))
    assert (a["state"], a["step"], a["num_steps"], a["loss"]) == (
        "finished",
        8,
        8,
        1.25,
    )
    assert (b["state"], b["seed"], a["seed"], b["val"]) == ("stopped", 3, 0, 2)
    assert c["step"] == 4 and not c["problem"]  # the line cut short does not count
    assert "train.lr" not in a and "lr" not in a and 0 <= a["age"] < 3600


def test_what_cannot_be_read_is_listed_with_the_reason(folder):
    by_name = rows(folder)
    assert "no_such" in by_name["d"]["problem"] and by_name["d"]["loss"] == 2.5
    assert "metrics.jsonl: the last line" in by_name["e"]["problem"]
    assert by_name["e"]["state"] == "not started"


@pytest.mark.parametrize("value", ["two", True])
def test_what_is_no_figure_or_of_another_type(folder, tmp_path, value):
    config = json.loads((folder / "a/config.json").read_text())
    config["train"]["num_steps"] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    line = {"step": 8, "loss": 1.0, "loss_of_new_epoch": 0.5}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    state = listing.read(tmp_path)
    text = f"{tmp_path}/config.json: train.num_steps must be of type int, got {value!r}"
    assert state.problem == text
    assert listing.figures_of(state.last) == {"loss": 1.0}


def test_rows_are_sorted_by_any_column(folder):
    losses = [row["loss"] for row in rows(folder, "loss").values()]
    assert losses == [1.25, 2.5, 2.5, 5.0, None]
    losses = [row["loss"] for row in rows(folder, "-loss").values()]
    assert losses == [5.0, 2.5, 2.5, 1.25, None]
    with pytest.raises(ValueError, match="--sort=mood: the columns are run, seed"):
        listing.rows_of(folder, "mood")
    with pytest.raises(FileNotFoundError, match="no runs below"):
        listing.rows_of(folder / "others")


def test_one_run_is_compared_with_the_defaults(folder):
    (row,) = listing.rows_of(folder / "deep")
    assert row["seed"] == 3 and row["model.name"] == "mlp"
    assert row.keys() & schema.flat(schema.get_config()).keys() >= {"train.num_steps"}


def test_a_run_is_training_while_its_lock_is_held(folder):
    assert not is_held(folder / "a")
    with locked(folder / "a"):
        assert rows(folder)["a"]["state"] == "training"
        with pytest.raises(ValueError, match="wait until"), locked(folder / "a"):
            pass  # reading has not opened the lock
    (folder / "a" / ".lock.json").write_text("{}")  # as after kill -9
    assert rows(folder)["a"]["state"] == "finished"


def test_the_command_imports_no_jax_and_names_the_unreadable(folder):
    program = (
        "import runpy, sys; sys.argv = ['launch.runs', sys.argv[1], '--sort=loss']\n"
        "try: runpy.run_module('launch.runs', run_name='__main__', alter_sys=True)\n"
        "finally: assert not {'jax', 'flax'} & {*sys.modules}"
    )
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["run", "seed"] and "finished" in lines[1]
    assert lines[-1].startswith(f"{folder}/e: ") and "sed" not in lines[-1]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('{"step": 8, "loss": 1.0, "run": 3}', "run"),
        ('{"step": 8, "loss": 1.0, "num_steps": 3}', "num_steps"),
        ('{"step": 8, "loss": 1.0, "good": true}', "good"),
        ('{"step": 8, "loss": 1.0, "good": NaN}', "good"),
    ],
)
def test_what_is_no_figure_is_named_and_the_rest_is_listed(tmp_path, line, name):
    (write_run(tmp_path, 8) / workdir.METRICS).write_text(line + "\n")
    (row,) = listing.rows_of(tmp_path)
    assert (row["run"], row["num_steps"], row["loss"]) == (str(tmp_path), 8, 1)
    assert row["state"] == "finished" and row["problem"].endswith(f"figure {name}")
    json.dumps(row, allow_nan=False)


def test_a_config_without_a_number_of_steps_is_named(tmp_path):
    path = write_run(tmp_path, 8) / workdir.CONFIG
    config = json.loads(path.read_text())
    config["train"]["num_steps"] = None
    path.write_text(json.dumps(config))
    (row,) = listing.rows_of(tmp_path)
    assert "train.num_steps is None" in row["problem"] and row["step"] == 8


def test_a_figure_that_no_float_can_hold_is_a_problem_of_its_run(tmp_path):
    log = write_run(tmp_path / "a", 4) / workdir.METRICS
    log.write_text('{"step": 4, "loss": ' + "1" * 400 + "}\n")
    assert "metrics.jsonl: the last line" in rows(tmp_path)["a"]["problem"]
