"""Runs that hold examples out: their validation loss, and what it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import rng
from jaxdiff.runs import workdir
from jaxdiff.runs.train import loop, setup
from jaxdiff.train import validation
from tests.devices import see_one_device
from tests.runs.conftest import assert_same, at, numbers, read_state, tiny_config

HELD = {"data__holdout": ".3", "cpu_devices": 1}


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Eight steps with a validation loss every two: (workdir, run, state)."""
    folder = tmp_path_factory.mktemp("held") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        see_one_device(monkeypatch)
        run = setup.prepare(tiny_config(**HELD), folder)
        return folder, run, loop.run(run)


def test_it_is_logged_and_shown(held, capsys):
    folder, _, _ = held
    rows = workdir.read_metrics(folder)
    assert [row["step"] for row in rows if "validation_loss" in row] == [2, 4, 6, 8]
    assert {f"validation_loss_log_snr_{r}" for r in validation.RANGES} <= {*rows[0]}
    assert "validation_x0_mae" in rows[0]


def test_it_changes_no_bit_of_the_training(held, tmp_path, one_device):
    _, run, state = held
    without = at(run, tmp_path / "run")._replace(validate=None)
    assert_same(loop.run(without), state)
    rows = [row for row in numbers(tmp_path / "run") if "validation_loss" in row]
    assert not rows


def test_a_run_that_resumes_logs_the_same_values(held, tmp_path, one_device):
    folder, run, state = held
    loop.run(at(run, tmp_path / "run", num_steps=4))
    resumed = at(run, tmp_path / "run")
    assert_same(loop.run(resumed), state)
    assert numbers(tmp_path / "run") == numbers(folder)
    assert_same(read_state(tmp_path / "run", run), read_state(folder, run))


def test_its_value_is_that_of_the_formula(held, one_device):
    """With zeros for weights the network gives 0, and mse of v is the mean of v^2."""
    _, run, _ = held
    others = run.experiment.source.holdout()
    order = np.random.default_rng(0).integers(0, len(others), 40)
    task = run.experiment.task
    params = jax.tree.map(jnp.zeros_like, run.init().params)
    validate = validation.make_validate(task.validation, others.load, order, 16)
    x0 = others[order]["x"]
    keys = rng.split_by(jax.random.key(0), jnp.arange(40))
    eps = rng.draw(jax.random.normal, rng.fold(keys, 1), x0.shape[1:])
    shift = jax.random.uniform(jax.random.fold_in(jax.random.key(0), 40))
    angle = np.pi / 2 * (1 - (shift + np.arange(40) / 40) % 1)[:, None]
    v = np.cos(angle) * eps - np.sin(angle) * x0
    value = validate(params)["validation_loss"]
    np.testing.assert_allclose(value, np.mean(v**2), rtol=1e-4)


def test_dropout_is_off(one_device):
    """Other keys of dropout would give other values with it."""
    fields = {"data__shape": (8, 8, 1), "model__name": "unet", "model__channels": 8}
    fields |= {"model__multipliers": (1,), "model__num_blocks": 1}
    config = tiny_config(**HELD, **fields, model__dropout=0.5, train__num_steps=2)
    run = setup.prepare(config, None)
    task, others = run.experiment.task, run.experiment.source.holdout()
    batch = jax.tree.map(jnp.asarray, others[np.arange(4)])
    params = jax.tree.map(lambda a: a + 0.1, run.init().params)
    keys = rng.batch_keys(jax.random.key(0), jnp.arange(4), 4)
    context = (None, None, None)
    off = [np.asarray(task.validation(params, keys, batch, context)[0])] * 2
    on = np.asarray(task.loss(params, keys, batch, context)[0])
    np.testing.assert_array_equal(*off)
    assert not np.allclose(on, off[0])


def test_too_few_rows_for_a_batch_are_noted(tmp_path, capsys):
    setup.prepare(tiny_config(data__holdout=".9"), tmp_path / "run")
    text = "data.holdout=.9 leaves 4 examples, fewer than train.batch_size=8: every"
    assert text in capsys.readouterr().err


def test_every_is_of_something_held_out(tmp_path):
    config = tiny_config()
    config.train.validate_every = 2
    with pytest.raises(ValueError, match=r"counts only with data\.holdout"):
        setup.prepare(config, tmp_path / "run")
