"""The two that leave the path: restart's ways back up, and jumps to its end."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import sampling, schedules
from jaxdiff.diffusion.sampling import make_step_noise
from jaxdiff.diffusion.solvers import consistency, heun, restart
from jaxdiff.diffusion.types import Denoised

COUNT = 20_000
MEAN, STD = 0.3, 0.5  # of the data, normal
SEEDS = jax.random.split(jax.random.key(8), COUNT)


def law(schedule, t):
    alpha, sigma = (float(f(jnp.asarray(t))) for f in schedule[:2])
    return alpha * MEAN, np.hypot(alpha * STD, sigma)


def starts(schedule, t, scale=1.0):
    mean, std = law(schedule, t)
    return mean + scale * std * jax.random.normal(jax.random.key(7), (COUNT, 1))


def assert_is_data(x, scale=1.0):
    """Mean and standard deviation within 4 standard errors."""
    x = np.asarray(x)
    assert abs(x.mean() - MEAN) < 4 * scale * STD / np.sqrt(COUNT)
    assert abs(x.std() / (scale * STD) - 1) < 4 / np.sqrt(2 * COUNT)


def posterior_mean(schedule):
    def denoise(x, t, cond):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        gain = alpha * STD**2 / ((alpha * STD) ** 2 + sigma**2)
        return Denoised(MEAN + gain * (x - alpha * MEAN))

    return Partial(denoise)


def end_of_path(schedule):
    """Where the ODE leads: each point keeps its quantile."""

    def denoise(x, t, cond):
        alpha, sigma = schedule.alpha(t), schedule.sigma(t)
        return Denoised(MEAN + STD * (x - alpha * MEAN) / jnp.hypot(alpha * STD, sigma))

    return Partial(denoise)


@pytest.mark.parametrize("curve", ["cosine", "linear_mix", "edm"])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_jumps_of_a_consistency_model_keep_the_law(curve, steps):
    schedule = getattr(schedules, curve)()
    ts = schedule.t_of(jnp.linspace(-6.0, 3.0, steps))
    x = sampling.sample(
        SEEDS,
        end_of_path(schedule),
        consistency.make(schedule),
        jnp.append(ts, 0.0),
        starts(schedule, ts[0]),
    )
    assert_is_data(x)


def test_a_jump_by_hand():
    schedule, t, s = schedules.cosine(), jnp.array(0.7), jnp.array(0.4)
    x = jnp.array([[0.4, -0.9]])
    seeds = SEEDS[:1]
    got, _ = consistency.make(schedule).step(
        lambda x, t: Denoised(x + 1), make_step_noise(seeds, (2,)), x, t, s, ()
    )
    z = jax.random.normal(seeds[0], (2,))[None]
    expected = schedule.alpha(s) * (x + 1) + schedule.sigma(s) * z
    chex.assert_trees_all_close(got, expected, rtol=1e-6)


@pytest.mark.parametrize("curve", ["cosine", "linear_mix", "edm"])
def test_restarts_keep_the_law_and_forget_errors(curve):
    """Started from a law too wide, Heun ends too wide, and restarts nearer to the data.

    Up from sigma / alpha = .06 to 1 adds variance but no excess of it, and the way down
    shrinks what there is in proportion to the law: by (v + .06^2) / (v + 1), v = STD^2.
    """
    schedule = getattr(schedules, curve)()
    levels = jnp.concatenate([jnp.geomspace(8.0, 0.06, 50), jnp.array([0.03, 0.02])])
    ts = jnp.append(schedule.t_of(-2 * jnp.log(levels)), 0.0)
    denoise = posterior_mean(schedule)

    def ends(solver, scale):
        x = starts(schedule, ts[0], scale)
        return np.asarray(sampling.sample(SEEDS, denoise, solver, ts, x))

    again = restart.make(schedule, low=0.07, high=1.0, repeats=3, num_steps=30)
    assert_is_data(ends(again, 1.0), scale=1.0)
    wide = ends(heun.make(schedule), 1.5).std() / STD
    once = (STD**2 + 0.06**2) / (STD**2 + 1.0)  # what is left of it each time
    excess = (wide**2 - 1) * once**3
    assert wide == pytest.approx(1.5, abs=0.05)
    nearer = ends(again, 1.5).std() / STD
    assert nearer**2 - 1 == pytest.approx(excess, abs=0.04)
