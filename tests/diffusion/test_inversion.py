"""Inversion: a Gaussian's own transport, every solver of the folder, slerp by hand."""

import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import grids, inversion, sampling, schedules
from jaxdiff.diffusion.solvers import ddim, ddpm, dpmpp_2m, heun
from jaxdiff.diffusion.types import Denoised

MEAN, STD = 0.3, np.array([0.5, 1.0, 2.0])
X0 = np.random.default_rng(0).normal(MEAN, STD, (5, 3))
NOISY = {"consistency", "ddpm", "dpmpp_2m_sde", "dpmpp_3m_sde", "euler_ancestral"}
NOISY |= {"restart"}
CURVES = ("cosine", "linear_mix", "edm", "vp_sde", "angle")


def gaussian(schedule, x_t, t, cond):
    """E[x0 | x_t] of values of mean MEAN and standard deviations STD."""
    del cond
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    var = jnp.asarray(STD**2, x_t.dtype)[None]
    gain = alpha * var / (alpha**2 * var + sigma**2)
    return Denoised(MEAN + gain * (x_t - alpha * MEAN), jnp.full_like(x_t, 0.5))


def there_and_back(solver, schedule, ts, x0=X0):
    denoise, x0 = Partial(gaussian, schedule), jnp.asarray(x0)
    x_T = inversion.invert(denoise, solver, schedule, ts, x0)
    seeds = jax.random.split(jax.random.key(1), len(x0))
    return x_T, sampling.sample(seeds, denoise, solver, jnp.asarray(ts, x0.dtype), x_T)


@pytest.mark.parametrize("curve", CURVES)
def test_a_gaussian_is_transported_as_in_closed_form(curve, x64):
    """Its deviates stay what they are: x_t = alpha m + sqrt(alpha^2 v + sigma^2) d."""
    schedule = getattr(schedules, curve)()
    ts = grids.karras(schedule, 300)
    x_T, back = there_and_back(heun.make(schedule), schedule, ts)
    t = jnp.asarray(ts[0])
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    size = np.sqrt(alpha**2 * STD**2 + sigma**2)
    exact = alpha * MEAN + size * (X0 - MEAN) / STD
    # the first step's own error is half of (sigma / alpha STD)^2 at the cleanest time:
    # for `angle`, which keeps noise there, far more than the steps leave
    clean = float(jnp.exp(-schedule.log_snr(jnp.asarray(ts[-2]))))
    first = 0.5 * clean / STD.min() ** 2
    error = np.abs(np.asarray(x_T) - exact).max() / sigma
    assert error < 2e-3 + 4 * first, (error, first)
    assert np.abs(np.asarray(back) - X0).max() < 1e-3 + 4 * first**2


def test_every_solver_inverts_or_gives_the_reason(x64, inner_solver):
    schedule = schedules.cosine()
    home = importlib.import_module(f"jaxdiff.diffusion.solvers.{inner_solver}")
    ts = grids.karras(schedule, 60)
    if inner_solver in NOISY:
        with pytest.raises(ValueError, match=r"draws noise .*solver=heun"):
            inversion.invert(
                Partial(gaussian, schedule),
                home.make(schedule),
                schedule,
                ts,
                jnp.asarray(X0),
            )
        return
    x_T, back = there_and_back(home.make(schedule), schedule, ts)
    scale = 0.2 if home.ORDER == 1 else 0.02
    assert np.abs(np.asarray(back) - X0).max() < scale
    assert np.abs(np.asarray(x_T)).max() > 1  # noise, and no longer the data


def test_the_error_of_coming_back_falls_with_the_steps(x64):
    schedule, errors = schedules.cosine(), []
    for n in (10, 20, 40):
        _, back = there_and_back(
            ddim.make(schedule), schedule, grids.karras(schedule, n)
        )
        errors.append(np.abs(np.asarray(back) - X0).max())
    assert errors[2] < 0.6 * errors[1] < 0.36 * errors[0], errors


def test_one_step_by_hand(x64):
    """Equation 2: there is one noisy time; down again x0 (1 - u^2) of the docstring."""
    schedule, v = schedules.linear_mix(), STD**2
    t, x0 = 0.1, X0 - MEAN
    alpha, sigma = 0.9, 0.1

    def centred(x_t, t, cond):
        return gaussian(schedule, x_t + alpha * MEAN, t, cond)._replace(
            x0=gaussian(schedule, x_t + alpha * MEAN, t, cond).x0 - MEAN
        )

    solver, ts = ddim.make(schedule), np.array([t, 0.0])
    x_T = inversion.invert(Partial(centred), solver, schedule, ts, jnp.asarray(x0))
    by_hand = alpha * x0 * (1 + sigma**2 / (alpha**2 * v + sigma**2))
    chex.assert_trees_all_close(x_T, by_hand, rtol=1e-12)
    back = centred(x_T, jnp.asarray(t), None).x0
    u = sigma**2 / (alpha**2 * v)
    chex.assert_trees_all_close(back, x0 * (1 - (u / (1 + u)) ** 2), rtol=1e-12)


def test_calls_are_counted_and_the_first_step_is_one():
    schedule = schedules.cosine()
    up = jnp.asarray(grids.karras(schedule, 10)[::-1])
    for solver, calls in ((ddim.make(schedule), 10), (heun.make(schedule), 1 + 2 * 9)):
        assert sampling.count_nfe(inversion.upwards(solver, schedule), up) == calls


def test_no_noise_is_found_where_there_is_none(inner_solver):
    """In float32 too, and on a grid that does not suit the solver (plms: even in t)."""
    schedule = schedules.cosine()
    home = importlib.import_module(f"jaxdiff.diffusion.solvers.{inner_solver}")
    for grid in (grids.log_snr, grids.uniform):
        if inner_solver not in NOISY:
            ts = grid(schedule, 49)
            inversion.check_reversible(home.make(schedule), schedule, ts)


@pytest.mark.parametrize("steps", [8, 9, 10, 11])
def test_rounding_is_no_noise(steps):
    """Two rows of a batch may round differently, as plms does in few steps."""
    schedule = schedules.cosine()
    for name in ("plms", "lms", "unipc"):
        home = importlib.import_module(f"jaxdiff.diffusion.solvers.{name}")
        ts = grids.uniform(schedule, steps)
        assert not inversion.draws_noise(home.make(schedule), schedule, ts), name


@pytest.mark.parametrize(
    "solver",
    [
        ddim.make(schedules.cosine(), eta=0.1),
        ddim.make(schedules.cosine(), eta=0.01),
        heun.make(schedules.cosine(), churn=0.1),
        heun.make(schedules.cosine(), churn=0.4, churn_low=1.0, churn_high=2.0),
        ddpm.make(schedules.cosine(), variance="learned"),
    ],
)
def test_any_noise_is_found(solver):
    schedule = schedules.cosine()
    with pytest.raises(ValueError, match="draws noise on its way"):
        inversion.check_reversible(solver, schedule, grids.karras(schedule, 20))


def test_pure_noise_is_refused():
    schedule = schedules.linear_mix()
    solver = dpmpp_2m.make(schedule)
    with pytest.raises(ValueError, match=r"alpha = 0.*--config.sampler.grid=log_snr"):
        inversion.check_reversible(solver, schedule, grids.uniform(schedule, 5))
    inversion.check_reversible(solver, schedule, grids.log_snr(schedule, 5))


# --- slerp ---


def test_slerp_by_hand():
    a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    root = np.sqrt(0.5)
    chex.assert_trees_all_close(
        inversion.slerp(a, b, 0.5), np.asarray([2 * root, 2 * root]), rtol=1e-6
    )
    third = inversion.slerp(a, b, 1 / 3)
    chex.assert_trees_all_close(
        third, np.asarray([2 * np.cos(np.pi / 6), 1.0]), rtol=1e-6
    )


def test_slerp_keeps_ends_lengths_and_even_angles(x64):
    rng = np.random.default_rng(3)
    a = jnp.asarray(rng.normal(size=(4, 3, 2)))
    b = jnp.asarray(rng.normal(size=(4, 3, 2)))
    b = b * jnp.linalg.norm(a) / jnp.linalg.norm(b)
    path = np.array([inversion.slerp(a, b, s) for s in np.linspace(0, 1, 6)])
    chex.assert_trees_all_close(path[0], a, rtol=1e-9)
    chex.assert_trees_all_close(path[-1], b, rtol=1e-9)
    flat = path.reshape(6, -1)
    norm = np.linalg.norm(np.asarray(a))
    chex.assert_trees_all_close(np.linalg.norm(flat, axis=1), norm, rtol=1e-9)
    steps = (flat[1:] * flat[:-1]).sum(1) / norm**2
    chex.assert_trees_all_close(steps, steps[0], rtol=1e-9)


def test_slerp_of_parallels_is_straight():
    a = jnp.array([1.0, 2.0])
    chex.assert_trees_all_close(inversion.slerp(a, 3 * a, 0.5), 2 * a, rtol=1e-6)
