"""Churn on EDM's schedule against EDM's algorithm 2, written out in numpy."""

from itertools import pairwise

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import grids, predictions, schedules
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.solvers import euler, heun
from jaxdiff.diffusion.types import Denoised

EDM, STEPS = schedules.edm(), 6
NOISE = np.random.default_rng(0).normal(size=(STEPS + 1, 3, 2))


def x0_of(x, sigma):
    """E[x0 | x] of data N(0, .25)."""
    return x * 0.25 / (0.25 + sigma**2)


def algorithm_2(x, z, high, low, churn, s_min, s_max, corrects):
    gamma = min(churn / STEPS, np.sqrt(2) - 1) if s_min <= high <= s_max else 0.0
    hat = high + gamma * high
    x = x + np.sqrt(hat**2 - high**2) * 1.01 * z
    slope = (x - x0_of(x, hat)) / hat
    after = x + (low - hat) * slope
    if corrects and low:
        slope = 0.5 * (slope + (after - x0_of(after, low)) / low)
        after = x + (low - hat) * slope
    return after


@pytest.mark.parametrize("s_max", [np.inf, 50.0])
@pytest.mark.parametrize("make", [euler.make, heun.make])
def test_every_step_is_algorithm_2(x64, make, s_max):
    """With S_max = inf the first step climbs above sigma(1) = 80."""
    fields = {"churn_low": 0.05, "churn_high": s_max, "churn_noise": 1.01}
    solver = make(EDM, churn=2.0 / STEPS, **fields)
    x = 80 * NOISE[-1]
    for (t, s), z in zip(pairwise(grids.uniform(EDM, STEPS)), NOISE, strict=False):
        got, _ = solver.step(
            lambda x, t: Denoised(x0_of(x, EDM.sigma(t))),
            lambda z=z: jnp.asarray(z),
            jnp.asarray(x),
            jnp.asarray(t),
            jnp.asarray(s),
            (),
        )
        high, low = 80 * t**7, 80 * s**7
        x = algorithm_2(x, z, high, low, 2.0, 0.05, s_max, make is heun.make)
        chex.assert_trees_all_close(got, x, rtol=1e-9)


def test_other_schedules_end_at_one(x64):
    times = []

    def denoise(x, t):
        jax.debug.callback(lambda t: times.append(float(t)), t)
        return Denoised(x)

    x, t, s = jnp.ones((3, 2)), jnp.asarray(0.99999), jnp.asarray(0.9)
    for name in ("cosine", "vp_sde", "linear_beta"):
        solver = euler.make(getattr(schedules, name)(), churn=0.4)
        solver.step(denoise, lambda: x, x, t, s, ())
    jax.effects_barrier()
    assert times == [1.0] * 3


@pytest.mark.parametrize("name", predictions.__all__)
def test_predictions_hold_above_one(x64, name):
    """The denoiser is right at sigma = 100, whatever the network predicts."""
    prediction, x_t, t = getattr(predictions, name)(), 100 * NOISE[0], 1.25 ** (1 / 7)

    def network(x_t, c, cond):
        slope = 560 * t**6  # d sigma / dt at t, by hand
        x0 = x0_of(x_t, 100.0)
        a, b = prediction(c._replace(d_alpha=0 * c.t, d_sigma=0 * c.t + slope))
        return a[:, None] * x0 + b[:, None] * (x_t - x0) / 100

    denoise = make_denoise(Partial(network), schedule=EDM, prediction=prediction)
    got = denoise(jnp.asarray(x_t), jnp.asarray(t), None).x0
    chex.assert_trees_all_close(got, x0_of(x_t, 100.0), rtol=1e-9)
