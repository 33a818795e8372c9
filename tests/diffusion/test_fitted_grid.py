"""A grid fitted by the gradient of the sampler, where the paths are in closed form."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.diffusion import fitted_grid, grids, noises, schedules, solvers
from jaxdiff.diffusion.solvers import ddim
from jaxdiff.diffusion.types import Denoised

STD = 0.5


def posterior_mean(schedule, x, t, cond):
    """Of N(0, STD^2)."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return Denoised(alpha * STD**2 / ((alpha * STD) ** 2 + sigma**2) * x)


def system_of(curve):
    schedule = getattr(schedules, curve)()
    denoise = Partial(posterior_mean, schedule)
    return fitted_grid.System(denoise, ddim.make(schedule), schedule, noises.normal())


def paths_of(system, index):
    """Every path keeps its quantile: x0 = STD x_T / sqrt((alpha STD)^2 + sigma^2)."""
    keys = rng.split_by(jax.random.key(0), index)
    z = rng.draw(jax.random.normal, rng.fold(keys, 0), (3,))
    alpha, sigma = (f(jnp.ones(())) for f in system.schedule[:2])
    ends = STD * sigma * z / jnp.hypot(alpha * STD, sigma)
    return fitted_grid.Paths(keys, None, ends)


# cosine's first step leaves pure noise, of which Heun's method has one slope
@pytest.mark.parametrize(("curve", "rtol"), [("cosine", 0.012), ("edm", 0.004)])
def test_paths_end_where_the_exact_flow_does(curve, rtol):
    system = system_of(curve)
    exact = paths_of(system, jnp.arange(8))
    paths = fitted_grid.make_paths(system, exact.keys, (3,))
    chex.assert_trees_all_close(paths.ends, exact.ends, rtol=rtol)


@pytest.mark.parametrize("curve", ["cosine", "edm"])
@pytest.mark.parametrize("steps", [3, 6])
def test_the_fitted_grid_is_the_best_on_new_noises(curve, steps):
    system = system_of(curve)
    known, new = paths_of(system, jnp.arange(32)), paths_of(system, 32 + jnp.arange(32))
    tried, calls = fitted_grid.known_grids(system.schedule, steps), []
    fitted = fitted_grid.fit(system, tried["uniform"], known, lambda: calls.append(0))
    assert fitted[-1] == 0 and (np.diff(fitted) < 0).all() and fitted[0] <= 1
    others = [fitted_grid.error(system, ts, new) for ts in tried.values()]
    assert fitted_grid.error(system, fitted, new) < 0.98 * min(others)
    assert 1 < len(calls) <= fitted_grid.MAX_ITERATIONS


@pytest.mark.parametrize("name", ["dpmpp_2m", "dpmpp_3m"])
def test_grids_of_multistep_solvers_are_fitted_too(name):
    system = system_of("cosine")
    solver = getattr(solvers, name).make(system.schedule)
    system = system._replace(solver=solver)
    known = paths_of(system, jnp.arange(32))
    start = fitted_grid.known_grids(system.schedule, 4)["uniform"]
    before = fitted_grid.error(system, start, known)
    fitted = fitted_grid.fit(system, start, known)
    assert fitted_grid.error(system, fitted, known) < 0.6 * before


@pytest.mark.parametrize(
    "solver", ["heun", "dpmpp_2m", "dpmpp_3m", "dpmpp_2m_sde", "dpmpp_3m_sde", "ddpm"]
)
def test_the_slope_is_that_of_the_loss(solver):
    system = system_of("cosine")
    made = getattr(solvers, solver).make(system.schedule)
    system = system._replace(solver=made)
    known, z = paths_of(system, jnp.arange(8)), jnp.array([-4.0, 0.3, -0.2, 0.1])
    _, slope = fitted_grid._loss_and_slope(z, system, known)
    for i, partial in enumerate(np.asarray(slope)):
        up, down = (
            fitted_grid._loss_and_slope(z.at[i].add(h), system, known)[0]
            for h in (1e-2, -1e-2)
        )
        assert partial == pytest.approx(float(up - down) / 2e-2, rel=2e-2, abs=2e-5)


def test_times_fall_to_zero_whatever_the_shares():
    ts = np.asarray(fitted_grid.times(jnp.array([-30.0, 0.0, 9.0, -60.0])))
    assert ts[-1] == 0 and (np.diff(ts) < 0).all() and ts[0] < 1


def test_times_are_what_is_left_after_each_share():
    ts = np.array([0.9, 0.5, 0.4, 0.1, 0.0])
    shares = -np.diff(np.concatenate([[1.0], ts]))
    got = fitted_grid.times(jnp.log(jnp.asarray(shares)) + 2.0)
    chex.assert_trees_all_close(got, jnp.asarray(ts, jnp.float32), atol=1e-4)


def test_the_known_grids_are_all_that_need_no_times():
    """A table of 1,000 entries has no 1,001 steps."""
    few, many = (fitted_grid.known_grids(schedules.cosine(), n) for n in (5, 1001))
    assert {*few} == {*many} == {*grids.__all__} - {"auto", "written"}
    assert all(len(ts) == 6 for ts in few.values())
    assert {k for k, ts in many.items() if ts is None} == {"discrete", "respaced"}
