"""Every solver in the folder: the order it states, in float64, against closed forms.

How that is measured is in diffusion/orders.py: the same as `launch.bench solvers`.
"""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy import stats

from jaxdiff.diffusion import grids, orders, sampling, scalings, schedules, solvers
from jaxdiff.diffusion.orders import (
    DEVIATES,
    END,
    OFF_PATH,
    START,
    VARIANTS,
    as_one,
    exact_denoise,
    travel,
)
from jaxdiff.diffusion.types import Denoised
from tests.slow import slow_but

SEEDS = jax.random.split(jax.random.key(0), 1)


def levels(schedule, t):
    return [float(f(jnp.asarray(t))) for f in (schedule.alpha, schedule.sigma)]


def assert_order(measured, order, *, exactly):
    """Errors fall as step^order, or faster, and are far from 1 at the last."""
    assert measured.values[-1] < 0.1, measured
    assert measured.order > order - 0.15, (measured.order, measured)
    assert measured.order < order + 0.15 or not exactly, (measured.order, measured)


# A curve of each kind: a cosine, a straight path, one without an end of alpha = 0.
KINDS = ("cosine", "linear_mix", "edm")
OTHERS = tuple(name for name in schedules.__all__ if name not in KINDS)


@pytest.mark.parametrize(
    "curves",
    [KINDS, pytest.param(OTHERS, marks=pytest.mark.slow)],
    ids=["of each kind", "others"],
)
def test_every_solver_converges_at_its_order(x64, solver_name, curves, subtests):
    if solver_name in OFF_PATH:
        return
    file = getattr(solvers, solver_name)
    made = {name: getattr(schedules, name)() for name in curves}
    for fields in VARIANTS.get(solver_name, [{}]):
        for name, schedule in zip(made, as_one(list(made.values())), strict=True):
            with subtests.test(schedule=name, **fields):
                converges(file, fields, schedule)


def converges(file, fields, schedule):
    measured = orders.measure(file.make, fields, schedule)
    assert np.isfinite(measured.values).all() and measured.mean < 1e-8
    exactly = file.ORDER == 1 or not measured.noisy
    assert_order(measured, file.ORDER, exactly=exactly)


def test_scalings_change_nothing_but_the_scale(x64, inner_solver):
    """x divided by its size takes the same path, also through times between t and s."""
    fields = {"repeats": 1, "num_steps": 1} if inner_solver == "restart" else {}
    curves, names = ("cosine", "edm", "vp_sde"), scalings.__all__
    made = [
        getattr(scalings, b)(getattr(schedules, a)()) for a in curves for b in names
    ]
    ends = []
    for schedule in as_one(made):
        t, s = (float(schedule.t_of(jnp.asarray(v))) for v in (START, END))
        ts, starts = jnp.linspace(t, s, 13), jnp.asarray(DEVIATES[None])
        size, size_s = (np.hypot(*levels(schedule, u)) for u in (t, s))
        solver = getattr(solvers, inner_solver).make(schedule, **fields)
        denoise = Partial(unconditional, schedule)
        end = sampling.sample(SEEDS, denoise, solver, ts, starts * size)
        ends.append(np.asarray(end) / size_s)
    for k, end in enumerate(ends):
        expected_end = ends[k - k % len(names)]
        chex.assert_trees_all_close(end, expected_end, rtol=1e-8, atol=1e-9)


def unconditional(schedule, x, t, cond):
    del cond
    return exact_denoise(schedule, x, t)


def density_error(solver, schedule, n):
    """Second moment of the two-mode column at END against the exact one, relative.

    The density itself is carried down the steps, by quadrature over x (a step's law is
    normal given x, its mean and spread read off from z = 0 and z = 1).
    """
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    ts, points = jnp.linspace(t, s, n + 1), 400
    y = np.linspace(-6, 6, points)

    def size(t):
        alpha, sigma = levels(schedule, t)
        return np.hypot(alpha, sigma)

    def law(x, t):
        alpha, sigma = levels(schedule, t)
        return stats.norm.pdf(
            x[:, None], alpha * np.array([-1, 1]), np.hypot(alpha * 0.4, sigma)
        ).mean(axis=1)

    mass = law(y * size(t), t) * size(t)
    x = jnp.asarray(np.stack([y * size(float(u)) for u in ts[:-1]]))
    means, tops = step_laws(solver, schedule, ts, x)
    for i in range(n):
        spread = float(tops[i, 0] - means[i, 0])
        to = y * size(float(ts[i + 1]))
        kernel = np.exp(-0.5 * ((to[:, None] - np.asarray(means[i])) / spread) ** 2)
        mass = kernel @ mass
        mass /= mass.sum()
    alpha, sigma = levels(schedule, s)
    exact = alpha**2 * (1 + 0.16) + sigma**2
    return abs(((y * size(s)) ** 2 @ mass) / exact - 1)


@jax.jit
def step_laws(solver, schedule, ts, x):
    """One step from each x[i] at t[i], with z = 0 and z = 1: f64[n, points] each."""

    def one(t, s, x, z):
        def at(x):
            row = jnp.broadcast_to(x, (1, 4))
            pair = jnp.stack([t, s])
            draws = jnp.full((1, 1, 4), z)
            return travel(solver, Partial(exact_denoise, schedule), pair, row, draws)[
                0, 0, 2
            ]

        return jax.vmap(at)(x)

    steps = jax.vmap(one, (0, 0, 0, None))
    return steps(ts[:-1], ts[1:], x, 0.0), steps(ts[:-1], ts[1:], x, 1.0)


def memoryless_and_noisy():
    for name in ("ddim", "ddpm"):
        for fields in VARIANTS[name]:
            if fields.get("eta") != 0:
                yield name, fields


@pytest.mark.parametrize(("name", "fields"), list(memoryless_and_noisy()))
@pytest.mark.parametrize("curve", slow_but(("cosine",), KINDS))
def test_ancestral_steps_converge_on_two_modes(x64, name, fields, curve):
    made = as_one([getattr(schedules, kind)() for kind in KINDS])
    schedule = made[KINDS.index(curve)]
    file = getattr(solvers, name)
    solver = file.make(schedule, **fields)
    errors = [density_error(solver, schedule, n) for n in (32, 64)]
    assert errors[-1] < 0.1
    assert abs(np.log2(errors[0] / errors[1]) - file.ORDER) < 0.2, errors


# --- the ends ---


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def one_step(solver, t, x, denoised):
    times = t, jnp.zeros_like(t)
    noise = sampling.make_step_noise(SEEDS, x.shape[1:])
    return solver.step(lambda *_: denoised, noise, x, *times, solver.init(x))[0]


def test_every_solver_ends_on_the_estimate_of_the_data(solver_name):
    """The step to t = 0 gives x0 itself, finite and without noise, also from t = 1."""
    x = jnp.array([[3.0, -0.2, 0.7]])
    denoised = Denoised(jnp.array([[0.25, -0.5, 0.75]]), jnp.full_like(x, 0.5))
    made = [getattr(schedules, name)() for name in schedules.__all__]
    for fields in VARIANTS.get(solver_name, [{}]):
        for schedule in as_one(made):
            solver = getattr(solvers, solver_name).make(schedule, **fields)
            for t in (1.0, 0.4):
                got = one_step(solver, jnp.array(t), x, denoised)
                chex.assert_trees_all_close(got, denoised.x0, rtol=1e-6)


def test_every_solver_is_sane_over_thousands_of_even_steps(inner_solver, subtests):
    """In float32, where EDM's cleanest sigmas, t^7, have squares below its range.

    With x0 = .25 at every time, (x_t - alpha .25) / sigma is unit noise throughout.
    """
    curves = ("edm", "linear_beta", "linear_mix")
    made = [getattr(schedules, curve)() for curve in curves]
    for curve, plain, schedule in zip(curves, made, as_one(made), strict=True):
        with subtests.test(curve=curve):
            sane(getattr(solvers, inner_solver).make(schedule), plain)


def quarter(x, t, cond):
    return Denoised(jnp.full_like(x, 0.25), jnp.zeros_like(x))


def sane(solver, schedule):
    ts = jnp.asarray(grids.uniform(schedule, 4000))
    seeds = jax.random.split(jax.random.key(3), 4)
    x_T = 0.25 * schedule.alpha(ts[0]) + schedule.sigma(ts[0]) * jax.random.normal(
        jax.random.key(4), (4, 3)
    )
    x, trace = sampling.sample(seeds, Partial(quarter), solver, ts, x_T, trace=True)
    chex.assert_trees_all_equal(x, np.full((4, 3), 0.25))
    alpha, sigma = (np.asarray(f(ts[:-1]))[:, None, None] for f in schedule[:2])
    clear = sigma[:, 0, 0] > 1e-3 * alpha[:, 0, 0]  # else rounding of x_t shows
    z = ((trace.x_t - 0.25 * alpha) / np.where(sigma > 0, sigma, 1))[clear]
    assert np.isfinite(trace.x_t).all()
    assert np.abs(z).max() < 6 and 0.5 < z.std() < 1.5


def test_every_solver_states_its_order(solver_name):
    file = getattr(solvers, solver_name)
    if solver_name != "consistency":  # which approximates nothing
        assert isinstance(file.ORDER, int) and file.ORDER >= 1
    assert "Source:" in file.make.__doc__
