"""The training run: resuming is continuing, and nothing is silently mended."""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from absl import logging

from jaxdiff.data import batches
from jaxdiff.runs import workdir
from jaxdiff.runs.train import loop, setup
from jaxdiff.train import epochs, parallel
from tests.runs.conftest import assert_same, at, numbers, read_state
from tests.slow import slow_but


def interrupted(run, after, error):
    """The run, whose step fails once `after` calls have been made."""
    calls = []

    def step(state, batch, key):
        if len(calls) == after:
            raise error
        calls.append(1)
        return run.step(state, batch, key)

    return run._replace(step=step)


def test_a_batch_is_a_function_of_seed_and_step(tiny, tmp_path):
    """Law 2: starting later skips, and changes nothing."""
    run = setup.prepare(tiny(num_steps=12), tmp_path / "a")
    every = list(setup.feed_from(run, 0))
    later = list(setup.feed_from(run, 7))
    assert len(every) == 12 and len(later) == 5
    for a, b in zip(every[7:], later, strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
        np.testing.assert_array_equal(a["cond"], b["cond"])
    other = next(setup.feed_from(setup.prepare(tiny(), tmp_path / "b"), 1))
    np.testing.assert_array_equal(other["x"], every[1]["x"])
    config = tiny()
    config.seed = 1
    other = next(setup.feed_from(setup.prepare(config, tmp_path / "c"), 1))
    assert (other["x"] != every[1]["x"]).any()


@pytest.mark.parametrize("after", slow_but([3], [3, 4, 7]))
def test_resume_is_continuation_to_the_bit(tmp_path, whole, after):
    """Law 3, with a crash between checkpoints, on one, and before the last step."""
    run = at(whole[1], tmp_path / "run")
    with pytest.raises(RuntimeError, match="power"):
        loop.run(interrupted(run, after, RuntimeError("power")))
    stored = read_state(tmp_path / "run", run)
    assert stored is not None and int(stored.step) == after - after % 2
    state = loop.run(at(whole[1], tmp_path / "run"))
    assert_same(state, whole[2])
    assert_same(read_state(tmp_path / "run", run), read_state(whole[0], run))
    assert numbers(tmp_path / "run") == numbers(whole[0])


def test_a_first_crash_starts_over(tmp_path, whole):
    run = at(whole[1], tmp_path / "run")
    with pytest.raises(RuntimeError):
        loop.run(interrupted(run, 1, RuntimeError()))
    state = loop.run(at(whole[1], tmp_path / "run"))
    assert_same(state, whole[2])


@pytest.mark.parametrize("first", [4, 5])
def test_more_steps_are_a_longer_run(tmp_path, whole, first):
    loop.run(at(whole[1], tmp_path / "run", num_steps=first))
    state = loop.run(at(whole[1], tmp_path / "run"))
    assert_same(state, whole[2])


def test_a_finished_run_does_nothing_more(tmp_path, whole):
    run = at(whole[1], tmp_path / "run", num_steps=2)
    state = loop.run(run)
    before = numbers(tmp_path / "run")
    again = loop.run(at(whole[1], tmp_path / "run", num_steps=2))
    assert_same(state, again)
    assert numbers(tmp_path / "run") == before


def test_steps_per_call_change_no_number_beyond_rounding(tiny, tmp_path, whole):
    state = loop.run(setup.prepare(tiny(steps_per_call=2), tmp_path / "run"))
    for a, b in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(whole[2].params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_lines_come_at_their_steps_when_a_call_crosses_them(tiny, tmp_path):
    """From step 3, calls of two steps end at 5, 7 and 8: none at a multiple of 4."""
    more = {"steps_per_call": 2, "log_every": 4, "checkpoint_every": 4}
    run = setup.prepare(tiny(**more), tmp_path / "run")
    loop.run(at(run, tmp_path / "run", num_steps=3))
    loop.run(at(run, tmp_path / "run", num_steps=8))
    assert [r["step"] for r in numbers(tmp_path / "run")] == [3, 5, 8]


# the run itself is on all four
@pytest.mark.parametrize("n", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_devices_see_one_batch_and_reach_one_state(tiny, tmp_path, whole, n):
    """Law 4, of the real task: stratified times, label dropout and noise included."""
    run = whole[1]
    from jaxdiff import build
    from jaxdiff.train.step import make_train_step

    config = tiny()
    task = run.experiment.task
    tx, _ = build.make_optimizer(config)
    step = make_train_step(task.loss, tx, build.make_ema(config), axis=parallel.AXIS)
    devices = jax.devices()[:n]
    pmapped = parallel.PmapStep(step, devices)
    state = parallel.replicate(run.init(), devices)
    for batch in setup.feed_from(run, 0):
        batch = parallel.shard(batch, n, axis=1)
        state, _ = pmapped(state, batch, jax.random.key(0))
    for a, b in zip(
        jax.tree.leaves((state.params, state.ema)),
        jax.tree.leaves((whole[2].params, whole[2].ema)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def test_a_nan_in_the_data_stops_the_run(tmp_path, whole):
    """Law 8: the step is named, and the checkpoint before it stays."""
    more = {"log_every": 4, "checkpoint_every": 4, "num_steps": 40}
    run = at(whole[1], tmp_path / "run", **more)
    source = run.experiment.source
    bad = 7

    def load(index):
        batch = source.load(index)
        return {**batch, "x": np.where((index == bad)[:, None], np.nan, batch["x"])}

    # 40 examples, 8 a step: five steps an epoch; one of them meets number 7
    place = int(np.argmax(batches.permutation(0, 0, 40) == bad))
    first = place // 8 + 1
    low = (first - 1) // 4 * 4
    experiment = replace(run.experiment, data=replace(source, load=load))
    with pytest.raises(FloatingPointError) as error:
        loop.run(run._replace(experiment=experiment))
    text = str(error.value)
    assert f"not finite at step {first} (steps {low + 1} to {low + 4})" in text
    assert f"In step {first} batch['x'] is not finite in 1 of 8 examples: mend" in text
    stored = read_state(tmp_path / "run", run)
    if low:
        assert stored is not None and int(stored.step) == low
        assert all(np.isfinite(a).all() for a in jax.tree.leaves(stored))
    else:
        assert stored is None


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_what_is_not_finite_is_not_saved(tmp_path, whole, name):
    """Step 5 goes wrong; the checkpoint of step 4 is the last, for the gradient too."""
    run = at(whole[1], tmp_path / "run")
    calls = []

    def step(state, batch, key):
        state, metrics = run.step(state, batch, key)
        calls.append(1)
        if len(calls) == 5:
            metrics = {**metrics, name: metrics[name] * np.nan}
        return state, metrics

    with pytest.raises(FloatingPointError, match=r"at step 5 \(steps 5 to 6\)"):
        loop.run(run._replace(step=step))
    stored = read_state(tmp_path / "run", run)
    assert stored is not None and int(stored.step) == 4


def test_a_learning_rate_that_blows_up_stops_the_run(tiny, tmp_path):
    config = tiny(lr="constant(peak=1e25)", log_every=1, checkpoint_every=1)
    run = setup.prepare(config, tmp_path / "run")
    with pytest.raises(
        FloatingPointError, match=r"the checkpoint of step \d is kept. A lower"
    ):
        loop.run(run)
    stored = read_state(tmp_path / "run", run)
    assert stored is not None
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(stored))


def test_parameters_are_finite_after_the_last_update(tiny, tmp_path):
    """Its loss was; no later step would find out."""
    more = {"num_steps": 1, "checkpoint_every": 1, "log_every": 1}
    run = setup.prepare(tiny(**more), tmp_path / "run")

    def step(state, batch, key):
        state, metrics = run.step(state, batch, key)
        params = jax.tree.map(lambda a: a * np.inf, state.params)
        return state.replace(params=params), metrics

    with pytest.raises(
        FloatingPointError, match="not finite after step 1; there was no checkpoint"
    ):
        loop.run(run._replace(step=step))
    assert read_state(tmp_path / "run", run) is None


def test_samples_that_are_not_finite_do_not_end_training(tmp_path, whole, capsys):
    run = at(whole[1], tmp_path / "run", sample_every=4)

    def preview(params, path):
        raise FloatingPointError("3 of 4 samples are not finite")

    state = loop.run(run._replace(preview=preview))
    assert_same(state, whole[2])
    assert "no 00000004.png: 3 of 4 samples" in capsys.readouterr().out


def test_a_checkpoint_cut_short_is_set_aside_and_training_finishes(
    tmp_path, whole, monkeypatch
):
    loop.run(at(whole[1], tmp_path / "run", num_steps=6))
    folder = tmp_path / "run" / workdir.CHECKPOINTS
    for file in (folder / "6").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: warnings.append(text % a))
    state = loop.run(at(whole[1], tmp_path / "run"))
    assert any("step 6 cannot be used" in line for line in warnings)
    assert_same(state, whole[2])
    assert (folder / "6.damaged").is_dir()
    assert numbers(tmp_path / "run") == numbers(whole[0])


def test_metrics_are_one_object_a_line(whole):
    lines = (whole[0] / workdir.METRICS).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    for row in rows:
        assert {"loss", "lr", "grad_norm", "examples_per_second"} < set(row)
        assert row["lr"] == pytest.approx(1e-2)
        assert row["epoch"] == row["step"] * 8 / 40  # a batch of 8, 40 examples
        assert row["loss"] > 0 and row["grad_norm"] > 0
    assert all(row["examples_per_second"] > 0 for row in rows)
    # five steps an epoch, the second of which begins with the sixth
    assert [row["step"] for row in rows if epochs.NEW in row] == [6]
    assert [epoch[:3] for epoch in epochs.means(rows, 8)] == [(1, 5, 5)]
    seconds = [row["seconds"] for row in rows]
    assert 0 < seconds[0] and seconds == sorted(seconds)
    assert list((whole[0] / "tensorboard").glob("events.*"))


def test_without_a_terminal_each_line_of_the_log_is_printed(tmp_path, whole, capsys):
    folder = tmp_path / "run"
    loop.run(at(whole[1], folder, num_steps=4))
    first, *steps, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{folder}: ") and first.endswith("steps 0 to 4")
    assert [line.split(":")[0] for line in steps] == ["step 2 of 4", "step 4 of 4"]
    assert re.search(r": loss \d\.\d{4}, [\d,]+ examples/s, 0 s left", steps[-1])
    assert re.match(r"finished at step 4 after \d+ s; more", last)
    loop.run(at(whole[1], folder, num_steps=4))
    resuming, finished = capsys.readouterr().out.splitlines()
    assert resuming.endswith("at step 4") and finished.startswith("finished at step 4")
    seconds = [row["seconds"] for row in workdir.read_metrics(folder)]
    loop.run(at(whole[1], folder, num_steps=8))
    out = capsys.readouterr().out
    assert "\r" not in out and "steps 4 to 8" in out
    later = [row["seconds"] for row in workdir.read_metrics(folder)]
    assert later[:2] == seconds and later[2] > later[1]  # of all its commands together


def test_the_first_logged_loss_is_the_mean_of_its_steps(tmp_path, whole):
    loop.run(at(whole[1], tmp_path / "run", log_every=1))
    one = [row["loss"] for row in numbers(tmp_path / "run")]
    two = [row["loss"] for row in numbers(whole[0])]
    np.testing.assert_allclose(np.reshape(one, (4, 2)).mean(1), two, rtol=1e-6)


def test_what_a_run_leaves_behind(whole):
    for name in ("config.json", "metrics.jsonl", "loss.png", "samples/00000008.png"):
        assert (whole[0] / name).stat().st_size > 0
    kept = [p.name for p in (whole[0] / "checkpoints").iterdir() if p.name.isdigit()]
    assert sorted(kept) == ["6", "8"]


def test_previews_come_when_due(tmp_path, whole):
    run, drawn = at(whole[1], tmp_path / "run", sample_every=4, num_steps=6), []
    loop.run(run._replace(preview=lambda _, path: drawn.append(path.name)))
    assert drawn == ["00000004.png", "00000006.png"]


@pytest.mark.parametrize("num_steps", [4, 6])
def test_a_preview_that_a_stop_prevented_is_made_up_for(tmp_path, whole, num_steps):
    """At step 4, which is the last or not, between its checkpoint and its picture."""
    run = at(whole[1], tmp_path / "run", sample_every=2, num_steps=num_steps)
    stops, drawn = [KeyboardInterrupt()], []

    def preview(_, path):
        if path.name == "00000004.png" and stops:
            raise stops.pop()
        path.parent.mkdir(exist_ok=True)
        path.touch()
        drawn.append(int(path.stem))

    with pytest.raises(KeyboardInterrupt):
        loop.run(run._replace(preview=preview))
    for _ in range(2):
        loop.run(run._replace(preview=preview))
    assert drawn == [*range(2, num_steps + 1, 2)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 6}, "train.batch_size=6 must be divisible by devices"),
        ({"steps_per_call": 3}, "train.log_every=2 must be a multiple of train.steps"),
        ({"num_steps": 0}, "train.num_steps must be at least 1"),
        ({"keep_last": 0}, "train.keep_last must be at least 1"),
        ({"num_preview": 0}, "train.num_preview must be at least 1"),
        ({"data__flip": True}, "flip=True needs images of pixels"),
        ({"clip_norm": -1.0}, "clip_norm must be >= 0"),
        ({"sampler__guidance": 2.0, "diffusion__condition": "none"}, "needs a model"),
        ({"model__name": "unet"}, "(h, w, c)|rows|shape"),
        ({"sampler__solver": "dimm"}, "did you mean 'ddim'"),
        ({"ema": "warmup(dekay=0.9)"}, "did you mean 'decay'"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(tiny, tmp_path, fields, message):
    with pytest.raises(ValueError, match=message.replace("(h, w, c)", r"\(h, w, c\)")):
        setup.prepare(tiny(**fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()
