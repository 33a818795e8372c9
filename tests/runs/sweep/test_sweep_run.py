"""A sweep as a whole: resumed, added to, refused; its means, table and pictures."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxdiff import apart
from jaxdiff.runs import workdir
from jaxdiff.runs.sweep import request as requests
from jaxdiff.runs.sweep import results, run, work
from tests.runs.conftest import tiny_config, untrained


def prepare(out, over=("train.lr=0.01,0.02", "seed=0,1"), **changed):
    how = {
        "change": (),
        "given": (),
        "evaluation": None,
        "figures": ["loss"],
        "trust": False,
        "command": "python -m launch.sweep",
    }
    base = tiny_config(num_steps=4, **changed.pop("base", {}))
    return requests.prepare(base, out=out, over=over, **how | changed)


def train(config, folder, trust):
    """A run without training, whose loss depends on the rate and the seed."""
    del trust
    if "1e+25" in config.train.lr:
        raise FloatingPointError("the loss is not finite at step 2")
    untrained(config, folder, step=config.train.num_steps)
    log = folder / workdir.METRICS
    row = json.loads(log.read_text())
    row["loss"] = float(config.train.lr[14:-1]) + config.seed  # constant(peak=LR)
    log.write_text(json.dumps(row) + "\n")


@pytest.fixture
def here(monkeypatch):
    """All in this process, which only pretends to train; (function, arguments)."""
    calls = []

    def run_here(signals, cpu_devices, function, *args):
        del signals, cpu_devices
        calls.append((function.__name__, args))
        try:
            return function(*args)
        except apart.ERRORS as error:
            raise apart.Failed(str(error)) from None

    monkeypatch.setattr(run, "run_apart", run_here)
    monkeypatch.setattr(work, "train", train)
    return calls


def trained(calls):
    return [args[1].name for name, args in calls if name == "train"]


def test_runs_are_trained_once_and_collected(tmp_path, here):
    out = tmp_path / "out"
    rows = run.run(prepare(out))
    names = ["lr=0.01,seed=0", "lr=0.01,seed=1", "lr=0.02,seed=0", "lr=0.02,seed=1"]
    assert trained(here) == names == [row["case"] for row in rows]
    stored = json.loads((out / "sweep.json").read_text())
    # of losses that differ by 1: half of it is the standard error of two
    for mean, lr in zip(stored["means"], (0.01, 0.02), strict=True):
        assert mean["loss"] == pytest.approx(lr + 0.5)
        assert mean["loss_error"] == pytest.approx(0.5) and mean["seeds"] == 2
        assert mean["parameters"] == rows[0]["parameters"] > 0
    lines = (out / "table.md").read_text().splitlines()
    assert len(lines) == 4 and lines[0].startswith("| train.lr | seeds | step | loss |")
    for name in ("sweep.png", "losses.png"):
        assert np.asarray(Image.open(out / name).convert("L")).std() > 5

    here.clear()
    rows = run.run(prepare(out, ["train.lr=0.01,0.02", "seed=0,1,2"]))
    assert trained(here) == ["lr=0.01,seed=2", "lr=0.02,seed=2"] and len(rows) == 6
    assert [*here[0][1][0]] == trained(here)  # only new cases are checked


def test_another_sweep_or_folder_is_refused_and_nothing_written(tmp_path, here):
    out = tmp_path / "out"
    bad = ["train.lr=0.01,cosine(peak=-1)"]
    with pytest.raises(ValueError, match=r"lr=cosine_peak=-1: .*peak"):
        run.run(prepare(out, bad))
    assert not out.exists()
    with pytest.raises(ValueError, match="--figure=frechet needs --metrics"):
        prepare(out, figures=["frechet"])
    with pytest.raises(ValueError, match="differ in sampling alone"):
        prepare(out, ["sampler.num_steps=1,2"])
    with pytest.raises(ValueError, match=r"--only=2 must be from 0 to 1"):
        run.run_one(prepare(out, ["seed=0,1"]), 2)
    script = run.write_script(prepare(out, ["seed=0,1"])).read_text()
    assert "--array=0-1\n" in script and '--only="$SLURM_ARRAY_TASK_ID"' in script
    assert "launch.sweep --collect" in script
    for text, changed in {
        "lacks": {"over": ["seed=0,2"]},
        r"model\.hidden=16 \(stored: 8\)": {"base": {"model__hidden": 16}},
    }.items():
        with pytest.raises(ValueError, match=text):
            prepare(out, **{"over": ["seed=0,1"], **changed})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    with pytest.raises(ValueError, match="something that is no sweep"):
        prepare(tmp_path / "mine")
    assert not trained(here)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ([], "--figure is empty"),
        (["loss", ""], "--figure is empty"),
        (["seconds"], "--figure=seconds is no figure"),
        (["train.lr"], r"--figure=train\.lr is no figure"),
        (["grad_norm"], "--figure=grad_norm is no figure of the model"),
        (["frechett"], "did you mean 'frechet'"),
        (["two_sample"], "did you mean 'two_sample_accuracy'"),
        (["frechet"], "needs frechet among --metrics"),
    ],
)
def test_a_figure_that_no_run_has_is_refused_before(tmp_path, figures, message):
    how = work.Evaluation(("sliced",), "", 20, 0)
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, figures=figures, evaluation=how)
    prepare(tmp_path, figures=["kl", "validation_loss"], evaluation=how)


def test_only_what_is_there_is_collected(tmp_path, here):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="holds no sweep yet"):
        run.gather(prepare(out))
    assert not out.exists()
    run.write_script(prepare(out, ["seed=0,1"]))
    before = (out / "sweep.json").read_text()
    more, how = ["seed=0,1,2"], work.Evaluation(("two_sample",), "", 20, 0)
    with pytest.raises(ValueError, match="lacks seed=2; give the same command"):
        run.gather(prepare(out, more))
    with pytest.raises(ValueError, match="was not evaluated so"):
        run.gather(prepare(out, ["seed=0,1"], evaluation=how))
    assert (out / "sweep.json").read_text() == before and not trained(here)
    assert len(run.gather(prepare(out, ["seed=0,1"]))) == 2
    run.write_script(prepare(out, more))
    run.run_one(prepare(out, ["seed=0,1"], part=True), 1)  # of the script before
    assert [row["state"] for row in run.gather(prepare(out, more))] == [
        *("not started", "finished", "not started")
    ]


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"base": 3, "cases": {}}'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ValueError, match=r"sweep\.json is .*copy") as error:
        prepare(tmp_path)
    assert "\n" not in str(error.value)


def test_a_script_in_a_folder_with_a_space(tmp_path, here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    text = run.write_script(prepare(tmp_path / "my out", ["seed=0,1"])).read_text()
    assert f"cd '{tmp_path}/a b' || exit 1\n" in text
    assert f"--output='{tmp_path}/my out/slurm-%a.txt'\n" in text
    assert "--job-name='my out'\n" in text


def test_a_case_that_cannot_be_written_does_not_end_the_sweep(
    tmp_path, here, monkeypatch
):
    def finished(path):
        if path.name == "seed=0":
            raise OSError("no such place")
        return True

    run.write_script(prepare(tmp_path, ["seed=0,1"]))
    monkeypatch.setattr(run, "is_finished", finished)
    rows = run.run(prepare(tmp_path, ["seed=0,1"]))
    assert [row["problem"] for row in rows] == ["no such place", ""]


def test_a_task_of_an_array_runs_one_and_a_failure_is_named(tmp_path, here):
    out, over = tmp_path / "out", ["train.lr=0.01,1e25"]
    run.write_script(prepare(out, over))
    run.run_one(prepare(out, over), 0)
    rows = run.collect(prepare(out, over), {})
    assert not any(row["problem"] for row in rows)
    assert [row["state"] for row in rows] == ["finished", "not started"]
    rows = run.run(prepare(out, over))
    assert trained(here) == ["lr=1e+25"]
    assert [row["state"] for row in rows] == ["finished", "failed"]
    assert "not finite" in rows[1]["problem"] and not rows[0]["problem"]


def test_sampling_fields_share_a_run_and_are_evaluated(tmp_path, here):
    how = work.Evaluation(("two_sample",), "", 20, 0)
    request = prepare(
        tmp_path,
        ["sampler.num_steps=1,3"],
        evaluation=how,
        figures=["two_sample_accuracy"],
    )
    rows = run.run(request)
    assert trained(here) == ["base"]
    assert [row["two_sample_accuracy"] <= 1 for row in rows] == [True, True]
    result = json.loads(
        (tmp_path / "evaluations/num_steps=1/evaluation.json").read_text()
    )
    assert result["nfe"] == 1 and "--config.sampler.num_steps=1" in result["command"]
    here.clear()
    again = prepare(tmp_path, ["sampler.num_steps=1,3"])
    assert again.evaluation == how and run.run(again) == rows and not here
    other = {"evaluation": how._replace(num=9)}
    place = tmp_path / "evaluations"
    text = f"{place} holds evaluations with --num=20 --metrics=two_sample: "
    with pytest.raises(ValueError, match=text):
        prepare(tmp_path, ["sampler.num_steps=1,3"], **other)
    place.rename(tmp_path.with_name("gone"))  # as the message advises
    again = prepare(tmp_path, ["sampler.num_steps=1,3"], **other)
    assert again.evaluation.num == 9 and not again.parameters
    with pytest.raises(ValueError, match="--metrics has no 'mood'"):
        other = how._replace(metrics=("mood",))
        run.run(prepare(tmp_path / "b", ["seed=0,1"], evaluation=other))


def test_a_run_trained_anew_is_evaluated_anew(tmp_path, here, monkeypatch):
    how = work.Evaluation(("two_sample",), "", 20, 0)
    run.run(prepare(tmp_path, ["seed=0"], evaluation=how))
    path = tmp_path / "evaluations/seed=0/evaluation.json"
    before = json.loads(path.read_text())
    shutil.rmtree(tmp_path / "seed=0")

    def other(config, folder, trust):
        like = config.copy_and_resolve_references()
        like.seed += 1
        train(like, folder, trust)
        workdir.save_config(folder, config)

    monkeypatch.setattr(work, "train", other)
    here.clear()
    rows = run.collect(prepare(tmp_path, ["seed=0"]), {})
    assert "two_sample_accuracy" not in rows[0]
    run.run(prepare(tmp_path, ["seed=0"]))
    assert [name for name, _ in here] == ["other", "evaluate"]
    after = path.read_text()
    assert json.loads(after)["checkpoint"] != before["checkpoint"]
    path.write_text(json.dumps(before))  # as after a kill, when samples are new
    here.clear()
    (tmp_path / "seed=0" / "checkpoints" / "9").mkdir()  # of a stop
    run.run(prepare(tmp_path, ["seed=0"]))
    assert [name for name, _ in here] == ["evaluate"]
    assert json.loads(path.read_text()) == json.loads(after)
    here.clear()
    run.run(prepare(tmp_path, ["seed=0"]))
    assert not here


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"rows": null}', '{"rows": [{"metric": "kid"}]}', "{"]
)
def test_a_damaged_evaluation_or_log_is_a_problem_of_its_case(tmp_path, here, text):
    how = work.Evaluation(("two_sample",), "", 20, 0)
    run.run(prepare(tmp_path, ["seed=0,1,2"], evaluation=how))
    (tmp_path / "evaluations/seed=0/evaluation.json").write_text(text)
    (tmp_path / "seed=1/metrics.jsonl").write_text("garbage\n")
    rows = run.gather(prepare(tmp_path, ["seed=0,1,2"], evaluation=how))
    assert "seed=0/evaluation.json" in rows[0]["problem"]
    assert "delete it" in rows[0]["problem"]
    assert "metrics.jsonl" in rows[1]["problem"] and not rows[2]["problem"]
    assert rows[2]["two_sample_accuracy"] <= 1
    assert (tmp_path / "table.md").is_file() and (tmp_path / "losses.png").is_file()


def test_means_over_seeds_leave_out_what_is_missing():
    rows = [
        {"case": "", "seed": i, "step": 4, "loss": v, "state": s, "problem": p}
        for i, (v, s, p) in enumerate(
            [(1.0, "finished", ""), (3.0, "finished", ""), (None, "failed", "why")]
        )
    ]
    for row in rows:
        row |= {"parameters": 7, "model.name": "a"}
    (mean,) = results.means(rows, ["model.name", "seed"])
    assert (mean["loss"], mean["loss_error"], mean["seeds"]) == (2.0, 1.0, 2)
    assert (mean["state"], mean["problem"]) == ("finished, failed", "why")
    (text,) = results.text_rows([mean], ["model.name", "seed"])
    assert text["loss"] == "2 ± 1" and text["parameters"] == "7"
    assert results.means(rows, ["model.name"]) == rows
