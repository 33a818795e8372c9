"""Solvers against diffusers' schedulers, every value of every step.

solvers.npz is written by make_solvers_fixture.py, which lists its contents. The
schedule is made of their own table, which is in single precision.
"""

import pathlib

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import choices
from jaxdiff.diffusion import predictions, solvers
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.inputs import index
from jaxdiff.diffusion.schedules.tables import from_alpha_bar
from tests.slow import slow_but

ARRAYS = dict(np.load(pathlib.Path(__file__).parents[1] / "solvers.npz"))
NOISE = ARRAYS.pop("noise")
TABLES = {k: ARRAYS.pop(k) for k in [*ARRAYS] if k.startswith("table")}
TS = np.array([1000, 875, 750, 625, 500, 375, 250, 125, 0]) / 1000

# How many of the eight steps are the same, where not all are, and why.
DIFFER = {
    # theirs is of full order to sigma = 0, and ends beside x0; ours ends on it
    "lms": 7,
    "lms cosine": 7,
    "plms": 7,
    # theirs takes the mean of the network's outputs, also where they are v, of several
    # times; ours always that of the noise
    "plms v scaled": 0,
    # of 15 steps or less, theirs takes the last but one at second order
    "deis": 6,
    "deis v scaled": 6,
    # theirs has half the quadratic term; see below
    "dpmpp_3m": 1,
}


def schedule_of(name):
    table = {"scaled": "scaled_linear", "cosine": "squaredcos_cap_v2"}
    suffix = table.get(name.split()[-1], "linear")
    return from_alpha_bar(TABLES[f"table {suffix}"].astype(np.float64))


def network(x_t, c, cond):
    return jnp.sin(x_t * (1 + index(1000)(c)[:, None] / 500))


# Each solver once; the others are on other schedules and of other predictions.
@pytest.mark.parametrize(
    "name", slow_but((name for name in ARRAYS if " " not in name), ARRAYS)
)
def test_paths_are_diffusers(x64, name):
    solver_name, *words = name.split()
    schedule = schedule_of(name)
    prediction = predictions.v() if "v" in words else predictions.eps()
    denoiser = make_denoise(Partial(network), schedule=schedule, prediction=prediction)
    solver = choices.pick(solvers, solver_name)(schedule)
    expected, same = ARRAYS[name], DIFFER.get(name, 8)
    state = solver.init(jnp.asarray(expected[0]))
    # each step from where theirs is, or their rounding to single precision would grow
    for k, (x, z) in enumerate(zip(expected[:-1], NOISE, strict=True)):
        x, state = solver.step(
            lambda x, t: denoiser(x, t, None),
            lambda z=z: jnp.asarray(z),
            jnp.asarray(x),
            jnp.array(TS[k]),
            jnp.array(TS[k + 1]),
            state,
        )
        size, theirs = float(np.abs(x).max()), jnp.asarray(expected[k + 1])
        if k < same:
            chex.assert_trees_all_close(x, theirs, atol=3e-6 * size, rtol=0)
        if k == same:  # or it needs no reason
            assert np.abs(x - theirs).max() > 5e-6 * size


def test_the_published_third_order_has_half_its_quadratic_term(x64):
    """Their update by hand: with 1, not 2, times phi_3, it is their path."""
    schedule, path = schedule_of("dpmpp_3m"), ARRAYS["dpmpp_3m"]
    levels = [[float(f(jnp.array(t))) for f in schedule[:2]] for t in TS[:-1]]
    alphas, sigmas = np.array(levels).T
    lams = np.log(alphas / sigmas)
    entries = TS[:-1, None, None] * 1000 - 1
    eps = np.sin(path[:-1] * (1 + entries / 500))
    x0 = (path[:-1] - sigmas[:, None, None] * eps) / alphas[:, None, None]
    i = 4
    h, *past = lams[i + 1] - lams[i], lams[i] - lams[i - 1], lams[i - 1] - lams[i - 2]
    r0, r1 = np.array(past) / h
    d0, d1 = (x0[i] - x0[i - 1]) / r0, (x0[i - 1] - x0[i - 2]) / r1
    slope, bend = d0 + r0 / (r0 + r1) * (d0 - d1), (d0 - d1) / (r0 + r1)
    phi_2 = np.expm1(-h) / h + 1
    phi_3 = phi_2 / h - 0.5
    for factor, same in ((1, True), (2, False)):
        mean = -np.expm1(-h) * x0[i] + phi_2 * slope - factor * phi_3 * bend
        x = sigmas[i + 1] / sigmas[i] * path[i] + alphas[i + 1] * mean
        if same:
            chex.assert_trees_all_close(x, path[i + 1], rtol=1e-5, atol=1e-5)
        else:
            assert not np.allclose(x, path[i + 1], rtol=1e-5, atol=1e-5)
    # and 2 is right: the integral of tau^2 over the step, weighted by h e^(h (tau - 1))
    tau = (np.arange(100_000) + 0.5) / 100_000
    mean = (np.exp(h * (tau - 1)) * tau**2).mean() * h
    assert mean == pytest.approx(-2 * phi_3, rel=1e-6)
