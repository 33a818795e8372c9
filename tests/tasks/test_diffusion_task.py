"""The diffusion task: what the network is shown, with networks that only report."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import (
    inputs,
    noises,
    predictions,
    schedules,
    upsampling,
    weights,
)
from jaxdiff.diffusion.losses import Objective, mse
from jaxdiff.rng import batch_keys
from jaxdiff.tasks import diffusion
from jaxdiff.train.step import Context

CONTEXT = Context(jnp.zeros((), jnp.int32), None, None)

B = 4000


class Echo(nn.Module):
    """Its output is its label, everywhere, whatever it sees."""

    @nn.compact
    def __call__(self, x, t, cond=None, *, train: bool = False):
        self.param("unused", nn.initializers.zeros, ())
        out = -1.0 if cond is None else cond.astype(x.dtype)
        return jnp.zeros_like(x) + jnp.reshape(out, (-1, 1))


class Same(nn.Module):
    """Its output is its input, so that its input can be read."""

    @nn.compact
    def __call__(self, x, t, cond=None, *, train: bool = False):
        self.param("unused", nn.initializers.zeros, ())
        return x


class Scaled(nn.Module):
    """Its output is its input times its parameter."""

    @nn.compact
    def __call__(self, x, t, cond=None, *, train: bool = False):
        return x * self.param("factor", nn.initializers.ones, ())


class Noisy(nn.Module):
    @nn.compact
    def __call__(self, x, t, cond=None, *, train: bool = False):
        self.param("unused", nn.initializers.zeros, ())
        return nn.Dropout(0.5, deterministic=not train)(jnp.ones_like(x))


def at(schedule, t, u):
    del schedule
    return jnp.full_like(u, t)


def make(network: nn.Module, t: float = 0.5, **fields: Any):
    schedule = schedules.linear_mix()
    objective = Objective(
        schedule=schedule,
        prediction=predictions.x0(),
        times=Partial(at, schedule, t),
        weight=None,
        distance=mse(),
        noise=noises.normal(),
    )
    defaults = {
        "shape": (2,),
        "example_cond": np.zeros(1, np.int32),
        "null": 3,
        "cond_dropout": 0.0,
        "time_feature": inputs.time(),
        "sigma_data": 0.0,
    }
    return diffusion.make(network, objective, **{**defaults, **fields})


def losses(task, labels, x=None, seed=0):
    keys = batch_keys(jax.random.key(seed), jnp.arange(B), B)
    batch = {"x": jnp.zeros((B, 2)) if x is None else x, "cond": labels}
    params = jax.jit(task.init)(jax.random.key(0))
    return np.asarray(task.loss(params, keys, batch, CONTEXT)[0])


LABELS = jnp.arange(B, dtype=jnp.int32) % 2 + 1  # 1 and 2, of classes 0, 1, 2


def test_without_dropout_the_network_sees_the_labels():
    # x0 = 0 and out = label: the loss of an example is its label squared
    chex.assert_trees_all_close(
        losses(make(Echo()), LABELS), np.square(LABELS), rtol=1e-7
    )


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_dropout_replaces_its_share_of_labels_by_the_null(share):
    task = make(Echo(), cond_dropout=share)
    assert task.null == 3
    got = losses(task, LABELS)
    dropped = got == 9.0
    chex.assert_trees_all_equal(got[~dropped], np.square(LABELS)[~dropped])
    # five standard deviations of a share of 4,000 independent draws
    assert abs(dropped.mean() - share) < 5 * np.sqrt(share * (1 - share) / B)
    # independent of the label, of the example's place, and new at every step
    for kind in (1, 2):
        of_kind = dropped[np.asarray(LABELS) == kind].mean()
        assert abs(of_kind - share) < 5 * np.sqrt(share * (1 - share) / (B / 2))
    again = losses(task, LABELS, seed=1) == 9.0
    both = (dropped & again).mean()
    assert abs(both - share**2) < 5 * np.sqrt(share**2 / B)


def test_an_unconditional_task_needs_no_label():
    task = make(Echo(), example_cond=None, null=None)
    assert task.null is None and task.cond_of({"cond": LABELS}) is None
    chex.assert_trees_all_close(losses(task, None), np.ones(B), rtol=1e-7)


def test_dropout_draws_in_training_alone():
    task = make(Noisy())
    # out is 0 or 2, x0 = 0: losses of (0 + 0, 0 + 4, 4 + 4) / 2
    assert set(losses(task, LABELS).tolist()) == {0.0, 2.0, 4.0}
    params = jax.jit(task.init)(jax.random.key(0))
    x0 = task.model(params)(jnp.ones((5, 2)), jnp.asarray(0.5), LABELS[:5]).x0
    chex.assert_trees_all_equal(x0, np.ones((5, 2)))


@pytest.mark.parametrize("t", [0.25, 0.5])
def test_inputs_are_scaled_to_unit_variance(t):
    """x_t = (1 - t) x0 + t eps with x0 of deviation .5: variance (1-t)^2 / 4 + t^2."""
    task = make(Same(), t, sigma_data=0.5)
    params = jax.jit(task.init)(jax.random.key(0))
    x = jnp.full((3, 2), 0.7)
    shown = task.model(params)(x, jnp.asarray(t), LABELS[:3]).x0
    by_hand = 0.7 / np.sqrt((1 - t) ** 2 / 4 + t**2)
    chex.assert_trees_all_close(shown, np.full((3, 2), by_hand), rtol=1e-6)
    # the same in the loss: out = x_t / sd, x0 = c, so E loss = 1 - 2 c a / sd + c^2
    gen = np.random.default_rng(0)
    x0 = jnp.asarray(0.5 * gen.normal(size=(B, 2)), jnp.float32)
    deviation = np.sqrt((1 - t) ** 2 / 4 + t**2)
    expected = 1 + 0.25 - 2 * (1 - t) * 0.25 / deviation
    got = losses(task, LABELS, x0)
    assert abs(got.mean() - expected) < 5 * got.std() / np.sqrt(B)


def test_unscaled_inputs_are_as_they_are():
    task = make(Same(), 0.5)
    params = jax.jit(task.init)(jax.random.key(0))
    x = jnp.array([[0.7, -3.0]])
    chex.assert_trees_all_equal(
        task.model(params)(x, jnp.asarray(0.5), LABELS[:1]).x0, x
    )


def test_denoisers_of_other_runs_of_one_config_share_a_compilation(traced_once):
    """A denoiser is a value: its parameters are leaves, not constants."""

    def estimate(denoise, x):
        return denoise(x, jnp.asarray(0.5), LABELS[:1]).x0

    estimate, x = traced_once(estimate), jnp.ones((1, 2))
    for factor in (1.0, 2.0):
        task = make(Scaled())  # as each run makes its own
        x0 = estimate(task.model({"factor": jnp.asarray(factor)}), x)
        chex.assert_trees_all_close(x0, factor * x, rtol=1e-6)
    with pytest.raises(AssertionError, match="traced > 1"):
        estimate(make(Same()).model({"unused": jnp.asarray(0.0)}), x)


class Copy(nn.Module):
    """Its output is the image beside x_t; where a second channel gives the amount of
    noise, times that amount."""

    @nn.compact
    def __call__(self, x, t, cond=None, *, train: bool = False):
        self.param("unused", nn.initializers.zeros, ())
        return x[..., 1:2] * jnp.prod(x[..., 2:], axis=-1, keepdims=True)


def test_an_upsampler_is_shown_the_small_image_of_its_own_x0():
    x0 = jax.random.normal(jax.random.key(1), (8, 4, 4, 1))
    loss, _ = upsampled(x0, augment=0.0)
    enlarged = jax.image.resize(upsampling.shrink(x0, 2), x0.shape, "linear")
    chex.assert_trees_all_close(loss, ((enlarged - x0) ** 2).mean((1, 2, 3)), rtol=1e-4)


def test_augmentation_is_uniform_up_to_its_most():
    """Of x0 = 0 the copy is a sigma(a) eps: under the linear mix its square is a^4."""
    x0 = jnp.zeros((B, 2, 2, 1))
    loss, _ = upsampled(x0, augment=0.6, low_size=1)
    # one eps for all four pixels: E a^4 eps^2 = .6^4 / 5, E a^8 eps^4 = 3 .6^8 / 9
    mean, square = 0.6**4 / 5, 3 * 0.6**8 / 9
    error = np.sqrt((square - mean**2) / B)
    assert abs(float(loss.mean()) - mean) < 4 * error


def upsampled(x0, augment, low_size=2):
    schedule = schedules.linear_mix()
    objective = Objective(
        schedule=schedule,
        prediction=predictions.x0(),
        times=Partial(at, schedule, 0.5),
        weight=weights.native(),
        distance=mse(),
        noise=noises.normal(),
    )
    task = diffusion.make(
        Copy(),
        objective,
        shape=x0.shape[1:],
        example_cond=None,
        null=None,
        cond_dropout=0.0,
        time_feature=inputs.time(),
        sigma_data=0.0,
        low_size=low_size,
        augment=augment,
    )
    keys = batch_keys(jax.random.key(0), jnp.arange(len(x0)), len(x0))
    assert task.is_upsampler
    params = jax.jit(task.init)(jax.random.key(2))
    return jax.jit(task.loss)(params, keys, {"x": x0}, CONTEXT)
