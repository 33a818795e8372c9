"""A grid fitted by the gradient of the sampler, where the paths are in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import build, rng
from jaxdiff.diffusion import noises, schedules
from jaxdiff.diffusion.solvers import ddim
from jaxdiff.diffusion.types import Denoised
from jaxdiff.runs.batched import Shared
from jaxdiff.runs.bench import fit_grid
from tests.runs.conftest import tiny_config, untrained

STD = 0.5


def posterior_mean(schedule, x, t, cond):
    """Of N(0, STD^2)."""
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    return Denoised(alpha * STD**2 / ((alpha * STD) ** 2 + sigma**2) * x)


def shared_of(curve):
    schedule = getattr(schedules, curve)()
    denoise = Partial(posterior_mean, schedule)
    solver = ddim.make(schedule)
    return Shared(denoise, solver, None, schedule, noises.normal(), None, None)


def starts(shared, index):
    """Every path keeps its quantile: x0 = STD x_T / sqrt((alpha STD)^2 + sigma^2)."""
    keys = rng.split_by(jax.random.key(0), index)
    z = rng.draw(jax.random.normal, rng.fold(keys, 0), (3,))
    alpha, sigma = (f(jnp.ones(())) for f in shared.schedule[:2])
    ends = STD * sigma * z / jnp.hypot(alpha * STD, sigma)
    return fit_grid.Paths(keys, None, ends)


@pytest.mark.parametrize("curve", ["cosine", "edm"])
@pytest.mark.parametrize("steps", [3, 6])
def test_the_fitted_grid_is_the_best_on_new_noises(curve, steps):
    shared = shared_of(curve)
    known, new = starts(shared, jnp.arange(32)), starts(shared, 32 + jnp.arange(32))
    tried = fit_grid.known_grids(shared, steps)
    assert {"uniform", "karras"} <= {*tried}
    fitted = fit_grid.fit(shared, tried["uniform"], known)
    assert fitted[-1] == 0 and (np.diff(fitted) < 0).all() and fitted[0] <= 1
    others = [fit_grid.error(shared, ts, new) for ts in tried.values()]
    assert fit_grid.error(shared, fitted, new) < 0.98 * min(others)


def test_the_slope_is_that_of_the_loss():
    shared = shared_of("cosine")
    known, z = starts(shared, jnp.arange(8)), jnp.array([-4.0, 0.3, -0.2, 0.1])
    _, slope = fit_grid._loss_and_slope(z, shared, known)
    for i, partial in enumerate(np.asarray(slope)):
        up, down = (
            fit_grid._loss_and_slope(z.at[i].add(h), shared, known)[0]
            for h in (1e-2, -1e-2)
        )
        assert partial == pytest.approx(float(up - down) / 2e-2, rel=2e-2, abs=2e-5)


def test_times_fall_to_zero_whatever_the_shares():
    ts = np.asarray(fit_grid.times(jnp.array([-30.0, 0.0, 9.0, -60.0])))
    assert ts[-1] == 0 and (np.diff(ts) < 0).all() and ts[0] < 1


def test_a_run_gives_options_that_sample(tmp_path):
    config = tiny_config()
    untrained(config, tmp_path / "run")
    given = {"num": 4, "seed": 0, "force": False}
    request = fit_grid.prepare(
        tmp_path / "run", config, out=tmp_path / "out", steps=[2], **given
    )
    rows = fit_grid.run(request)
    errors = {row["grid"]: row["error"] for row in rows}
    assert "fitted" in errors and "uniform" in errors
    (line,) = (tmp_path / "out" / "grids.txt").read_text().splitlines()
    spec = line.split("--config.sampler.grid=")[1].strip('"')
    config.sampler.grid, config.sampler.num_steps = spec, 2
    # the options name the grid whose error was printed, on paths not fitted to
    new = fit_grid.make_paths(request, 4 + np.arange(4))
    error = fit_grid.error(
        request.shared, build.make_grid(config, build.make_schedule(config)), new
    )
    assert error == pytest.approx(errors["fitted"], rel=1e-3)
    assert (tmp_path / "out" / "grids.png").exists()
    for wrong, message in (
        ({"steps": [0]}, "--steps"),
        ({"steps": []}, "--steps"),
        ({"num": 0}, "--num"),
        ({}, "not empty"),
    ):
        fields = {"steps": [2], **given, **wrong}
        with pytest.raises((ValueError, OSError), match=message):
            fit_grid.prepare(tmp_path / "run", config, out=tmp_path / "out", **fields)


def test_a_solver_that_draws_noise_is_refused(tmp_path):
    config = tiny_config(sampler__solver="ddpm")
    untrained(config, tmp_path / "run")
    given = {"out": tmp_path / "out", "steps": [2], "num": 4, "seed": 0, "force": False}
    with pytest.raises(ValueError, match="'ddpm' draws noise"):
        fit_grid.prepare(tmp_path / "run", config, **given)
