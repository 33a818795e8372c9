"""The validation loss against sums worked by hand, on any number of devices."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.train import validation
from tests.devices import see_one_device

# Seven pairs of four examples; x is what each example is, and its log-SNR too.
X = np.array([-5.0, -4.0, 0.5, 6.0], np.float32)
ORDER = np.array([0, 1, 2, 3, 3, 1, 2])


def loss(params, keys, batch, context):
    """(w x)^2, with a draw of each pair's key and its stratum as metrics."""
    x = batch["x"]
    draws = jax.vmap(jax.random.uniform)(keys.key)
    metrics = {"draw": draws, "stratum": keys.stratum, "log_snr": x}
    return jnp.square(params["w"] * x), metrics


def load(index):
    return {"x": X[index], "cond": None}


@pytest.mark.parametrize("batch_size", [3, 8])
@pytest.mark.parametrize("devices", [1, 4])
def test_it_is_the_mean_over_the_pairs(devices, batch_size, monkeypatch):
    if devices == 1:
        see_one_device(monkeypatch)
    validate = validation.make_validate(loss, load, ORDER, batch_size)
    values = validate({"w": jnp.float32(2.0)})
    x = X[ORDER].astype(np.float64)
    expected = {
        "validation_loss": 4 * (x**2).mean(),
        # -5 | -4, -4 | 0.5, 0.5 | 6, 6: an end belongs to the range above it
        "validation_loss_log_snr_below_-4": 100.0,
        "validation_loss_log_snr_-4_to_0": 64.0,
        "validation_loss_log_snr_0_to_4": 1.0,
        "validation_loss_log_snr_above_4": 144.0,
    }
    chex.assert_trees_all_close({k: values[k] for k in expected}, expected, rtol=1e-6)
    keys = [jax.random.fold_in(jax.random.key(0), i) for i in range(7)]
    draws = np.mean([float(jax.random.uniform(key)) for key in keys])
    np.testing.assert_allclose(values["validation_draw"], draws, rtol=1e-6)
    # seven strata, evenly spread: their mean is that of (u + i / 7) mod 1
    shift = float(jax.random.uniform(jax.random.fold_in(jax.random.key(0), 7)))
    strata = (shift + np.arange(7) / 7) % 1
    np.testing.assert_allclose(values["validation_stratum"], strata.mean(), rtol=1e-5)


def test_it_is_the_same_each_time_and_of_the_parameters():
    validate = validation.make_validate(loss, load, ORDER, 3)
    first, second = (validate({"w": jnp.float32(2.0)}) for _ in range(2))
    assert first == second
    assert validate({"w": jnp.float32(3.0)}) != first


def test_a_range_without_pairs_and_a_loss_without_noise_have_no_value():
    values = {"loss": np.ones(2), "log_snr": np.array([1.0, 2.0])}
    assert [*validation.summary(values)] == [
        "validation_loss",
        "validation_loss_log_snr_0_to_4",
    ]
    assert [*validation.summary({"loss": np.ones(2)})] == ["validation_loss"]


def test_a_loss_that_is_not_finite_ends_the_run():
    with pytest.raises(FloatingPointError, match="validation loss is not finite"):
        validation.summary({"loss": np.array([1.0, np.nan])})


def test_the_lines_of_a_log_are_those_that_it_has():
    rows = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0, "validation_loss": 2.5},
        {
            "step": 3,
            "loss": 1.0,
            "validation_loss": 2.75,
            "validation_loss_log_snr_0_to_4": 4.0,
        },
    ]
    lines = validation.lines_of(rows)
    expected = {
        "training": ([1, 2, 3], [3.0, 2.0, 1.0]),
        "validation": ([2, 3], [2.5, 2.75]),
        "log-SNR 0 to 4": ([3], [4.0]),
    }
    assert {k: (s.tolist(), v.tolist()) for k, (s, v) in lines.items()} == expected
