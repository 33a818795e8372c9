"""sampler.grid="auto", a grid that suits the solver; a note where another does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from configs import base
from jaxdiff import build, choices, notes, schema, upgrades
from jaxdiff.diffusion import analytic, grids, sampling, schedules, solvers
from jaxdiff.diffusion.orders import as_one

WEIGHTS, MEANS, STDS = np.array([[0.5], [0.5]]), np.array([[-0.9], [0.8]]), 0.2
LAW = analytic.Mixture(WEIGHTS, MEANS, np.full((2, 1), STDS))
LEVELS = (np.arange(500) + 0.5) / 500
NAMES = ("cosine", "edm")
MADE = dict(zip(NAMES, as_one([getattr(schedules, n)() for n in NAMES]), strict=True))
MAKERS = choices.members(solvers)
STATED = [name for name, make in MAKERS.items() if solvers.grid_of(make)]


def config_of(solver, grid="auto", steps=25, schedule="cosine"):
    config = base.get_config()
    config.sampler.update({"solver": solver, "grid": grid, "num_steps": steps})
    config.diffusion.schedule = schedule
    return config


def grid_of(*args, **fields):
    config = config_of(*args, **fields)
    return build.make_grid(config, build.make_schedule(config))


def error_of(name, schedule, grid, steps=25):
    """From the sorted samples to the exact quantiles: the root mean square distance."""
    ts = jnp.asarray(grid_of(name, grid, steps, schedule), jnp.float32)
    curve, z = MADE[schedule], norm.ppf(np.random.default_rng(0).permutation(LEVELS))
    x_T = curve.sigma(ts[0]) * jnp.asarray(z, jnp.float32)[:, None]
    x = sampling.sample(
        jax.random.split(jax.random.key(0), len(LEVELS)),
        analytic.make_denoise(LAW, curve),
        choices.pick(solvers, name)(curve),
        ts,
        x_T,
    )
    at = np.linspace(-3, 3, 10_001)
    levels = norm.cdf((at - MEANS) / STDS).mean(axis=0)
    gaps = np.sort(np.asarray(x)[:, 0]) - np.interp(LEVELS, levels, at)
    return float(np.sqrt(np.mean(gaps**2)))


@pytest.mark.parametrize("name", STATED)
def test_the_grid_of_a_solver_gives_the_data_where_even_steps_do_not(name):
    errors = {schedule: error_of(name, schedule, "auto") for schedule in MADE}
    assert max(errors.values()) < 0.08, errors
    assert error_of(name, "cosine", "uniform") > 0.2


def test_auto_is_what_the_solver_states():
    assert {"heun", "plms", "restart"} <= {*STATED}
    schedule = schedules.cosine()
    for name in choices.members(solvers):
        expected = (solvers.grid_of(MAKERS[name]) or grids.uniform)(schedule, 25)
        np.testing.assert_array_equal(grid_of(name), expected)
    np.testing.assert_array_equal(grid_of("ddim(eta=0.5)"), np.linspace(1, 0, 26))
    np.testing.assert_array_equal(
        grid_of("heun(churn=0.1)"), grids.exponential(schedule, 25)
    )


def test_a_stored_run_without_the_field_keeps_even_steps():
    assert schema.get_config().sampler.grid == "auto"
    assert upgrades.upgrade({}).sampler.grid == "uniform"


def test_the_gain_of_a_step_by_hand():
    """sigma / alpha from 8 to 2 and to 0.5, on the schedule where it is t / (1 - t)."""
    ts = np.array([8 / 9, 2 / 3, 1 / 3, 0.0])
    gains = (8 / 2 - 1) / 2 * 1 / (1 + 2**2), (2 / 0.5 - 1) / 2 * 1 / (1 + 0.5**2)
    gain = sampling.error_gain(schedules.linear_mix(), ts)
    np.testing.assert_allclose(gain, max(gains), rtol=1e-5)
    assert sampling.error_gain(schedules.linear_mix(), np.array([1.0, 0.0])) == 0


@pytest.mark.parametrize("name", STATED)
@pytest.mark.parametrize(
    ("grid", "steps"), [("uniform", 25), ("exponential", 4), ("exponential", 10)]
)
def test_a_high_gain_is_a_large_error(name, grid, steps):
    """Deviations are about 0.9."""
    gain = sampling.error_gain(MADE["cosine"], grid_of(name, grid, steps))
    error = error_of(name, "cosine", grid, steps)
    assert (error > 0.2) == (gain > build.MOST_GAIN), (error, gain)


@pytest.mark.parametrize(
    ("solver", "grid", "steps", "noted"),
    [
        ("heun", "uniform", 25, "set sampler.grid=auto, or take more"),
        ("plms", "quadratic", 10, "set sampler.grid=auto, or take more"),
        ("restart(high=0.4)", "uniform", 10, "set sampler.grid=auto, or take more"),
        ("heun", "auto", 5, "can be noise; take more"),
        ("heun", "auto", 10, ""),
        ("heun", "uniform", 50, ""),
        ("heun", "uniform", 1, ""),
        ("ddim", "uniform", 10, ""),
        ("dpmpp_2m", "uniform", 10, ""),
    ],
)
def test_steps_too_long_for_the_solver_are_noted_once(
    capsys, solver, grid, steps, noted
):
    notes.note_once.cache_clear()
    for _ in range(2):
        grid_of(solver, grid, steps)
    printed = capsys.readouterr().err
    assert printed.count("\n") == bool(noted)
    assert noted in printed and (not noted or f"sampler.grid={grid} are" in printed)


@pytest.mark.parametrize(
    ("solver", "grid", "message"),
    [
        ("henu", "auto", "did you mean 'heun'"),
        ("heun", "auto(solver='ddim')", "auto has no field 'solver'"),
        ("heun", "atuo", "did you mean 'auto'"),
    ],
)
def test_mistakes(solver, grid, message):
    with pytest.raises(ValueError, match=message):
        grid_of(solver, grid)
