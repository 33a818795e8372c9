"""Every solver in the folder: the order it states, in float64, against closed forms.

Data: N(.3, .5^2), and two modes. Both have a closed-form denoiser. What the noise does
is read off exactly: a step's draws are replaced by numbers handed in (`travel`), so the
end is a function of x_T and z, affine in both for normal data, and its slopes (by
`probes`) give the mean and the variance over all noise without sampling.
"""

import importlib
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy import optimize, stats
from scipy.special import ndtr

from jaxdiff import keys as keying
from jaxdiff.diffusion import grids, sampling, scalings, schedules, solvers
from jaxdiff.diffusion.denoisers import Denoised

# what else is to be tested of a solver than its defaults
VARIANTS = {
    "ddim": [{"eta": 0.0}, {"eta": 0.5}, {"eta": 1.0}],
    "ddpm": [{"variance": "small"}, {"variance": "large"}],
    "dpm2": [{}, {"eta": 1.0}],
    "dpmpp_2s": [{}, {"eta": 1.0}],
    "dpmpp_2m_sde": [{}, {"eta": 0.5}],
    "dpmpp_3m_sde": [{}, {"eta": 0.5}],
    "restart": [],  # below
    "euler": [{}, {"churn": 4.0}],
    "heun": [{}, {"frame": "flow"}, {"churn": 4.0}],
}
MAX_DRAWS = 1  # of noise in one step
NOISY = "ddpm", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_3m_sde", "consistency"
SEEDS = jax.random.split(jax.random.key(0), 1)

# each column a data law: modes at LOW and HIGH, half the data each
LOW, HIGH = np.array([0.3, 0.3, -1.0, -1.0]), np.array([0.3, 0.3, 1.0, 1.0])
SPREAD = np.array([0.5, 0.5, 0.4, 0.4])
NORMAL = LOW == HIGH
DEVIATES = np.array([-1.2, 0.7, -0.4, 1.1])  # where each column starts

# log-SNRs that every schedule has, so that none is tested beyond its ends
START, END = -4.5, 2.0
# The noise of every step takes a row to itself: fewer, which suffice for low orders.
STEPS = {False: (128, 256, 512), True: (32, 64, 128)}  # by whether there is noise
# Multistep methods take starting values of their order for granted: the first of n even
# steps begins with three that are small enough for those of lower order.
FIRST = 2.5, 1.75, 1.25


def even(t, s, n):
    """Times from t to s in FIRST and n steps."""
    starts = (t - s) / n * (1.0 / n) ** (np.array(FIRST) - 1)
    return np.concatenate([[t], t - np.cumsum(starts), np.linspace(t, s, n + 1)[1:]])


def load(name):
    return importlib.import_module(f"{solvers.__name__}.{name}")


def estimate(x, alpha, sigma):
    """E[x0 | x_t = x] of the mixtures; x f64[rows, columns]."""
    low, high, spread = LOW[None], HIGH[None], SPREAD[None]
    variance = (alpha * spread) ** 2 + sigma**2
    gaps = [x - alpha * mode for mode in (low, high)]
    weights = jax.nn.softmax(jnp.stack([-0.5 * g**2 / variance for g in gaps]), axis=0)
    means = [
        m + alpha * spread**2 / variance * g
        for m, g in zip((low, high), gaps, strict=True)
    ]
    return (weights * jnp.stack(means)).sum(axis=0)


@jax.jit
def travel(solver, schedule, ts, x, z):
    """x after each step down `ts`; z[i, j] is the j-th draw of step i."""

    def denoise(x, t):
        x0 = estimate(x, schedule.alpha(t), schedule.sigma(t))
        return Denoised(x0, jnp.full_like(x, 0.25))

    def step(carry, now):
        t, s, z_now = now
        x, state = carry
        draws = iter(z_now)
        with mock.patch.object(keying, "draw", lambda *_: next(draws)):
            x, state = solver.step(denoise, SEEDS, x, t, s, state)
        return (x, state), x

    start = x, solver.init(x)
    return jax.lax.scan(step, start, (ts[:-1], ts[1:], z))[1]


# the programs are tiny, and compiling them is all of the time
@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def end_of(solver, schedule, ts, stop, x, z):
    return travel(solver, schedule, ts, x, z)[stop - 1]


def probes(x, noisy):
    """Rows of starts and draws: x alone, x + 1, and x with each draw in turn 1."""
    steps = STEPS[noisy][-1] + len(FIRST)
    rows = 2 + steps * MAX_DRAWS * noisy
    starts = np.tile(x, (rows, 1))
    starts[1] += 1
    z = np.zeros((steps, MAX_DRAWS, rows, 1))
    if noisy:
        z = np.eye(rows)[2:].reshape(z.shape)
    return jnp.asarray(starts), jnp.asarray(z * np.ones(len(DEVIATES)))


def marginal(schedule, t):
    """alpha, sigma, and mean and standard deviation of the normal columns at t."""
    alpha, sigma = (float(f(jnp.asarray(t))) for f in schedule[:2])
    return alpha, sigma, alpha * 0.3, np.hypot(alpha * 0.5, sigma)


def transported(alpha_t, sigma_t, x, alpha_s, sigma_s):
    """The exact flow in one dimension keeps each point's quantile."""
    ends = []
    for column, value in enumerate(x):
        modes = np.array([LOW[column], HIGH[column]])

        def cdf(x, alpha, sigma, modes=modes, spread=SPREAD[column]):
            return ndtr((x - alpha * modes) / np.hypot(alpha * spread, sigma)).mean()

        level = cdf(value, alpha_t, sigma_t)
        far = 8 * np.hypot(alpha_s * 2, sigma_s)
        ends.append(
            optimize.brentq(
                lambda x, cdf=cdf, level=level: cdf(x, alpha_s, sigma_s) - level,
                *(-far, far),
                xtol=1e-14,
                rtol=1e-14,
            )
        )
    return np.array(ends)


def assert_order(errors, order, what, *, exactly):
    """Errors at STEPS fall as step^order, or faster, and are far from 1 at the last."""
    assert errors[-1] < 0.1, (what, errors)
    seen = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    # at order p and n steps the next term makes it p + O(1 / n); the last is closest
    assert seen[-1] > order - 0.17, (what, errors, seen)
    assert seen[-1] < order + 0.17 or not exactly, (what, errors, seen)


def _pick(which, functions, value):
    return jax.lax.switch(which, functions, value)


def as_one(made):
    """Schedules as one that says which it is by a number: one program for all."""
    parts = list(zip(*made, strict=True))
    for which in range(len(made)):
        yield schedules.Schedule(*(Partial(_pick, jnp.array(which), p) for p in parts))


def of_steps(fields, n):
    """Churn is by step: the more steps, the less."""
    return {k: v / n if k == "churn" else v for k, v in fields.items()}


def test_every_solver_converges_at_its_order(x64, solver_name, subtests):
    file = load(solver_name)
    if file.ORDER is None:
        return  # it is of no path; see below
    made = {name: getattr(schedules, name)() for name in schedules.__all__}
    for fields in VARIANTS.get(solver_name, [{}]):
        for name, schedule in zip(made, as_one(list(made.values())), strict=True):
            with subtests.test(schedule=name, **fields):
                converges(file, fields, schedule)


def converges(file, fields, schedule):
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    alpha, sigma, mean, std = marginal(schedule, t)
    alpha_s, sigma_s, mean_s, std_s = marginal(schedule, s)
    x = np.where(NORMAL, mean, 0.0) + std * DEVIATES
    exact = transported(alpha, sigma, x, alpha_s, sigma_s)
    noisy = fields.get("eta", file.__name__.rsplit(".")[-1] in NOISY)
    noisy = bool(noisy) or "churn" in fields
    starts, z = probes(x, noisy)
    path, spread, most = [], [], STEPS[noisy][-1]
    for n in STEPS[noisy]:
        solver = file.make(schedule, **of_steps(fields, n))
        # one length for all, and so one compilation: the rest goes on below s
        rest = s * (1 - np.arange(1, most - n + 1) / (2 * most))
        ts = jnp.asarray(np.concatenate([even(t, s, n), rest]))
        ends = np.asarray(end_of(solver, schedule, ts, n + len(FIRST), starts, z))
        assert np.isfinite(ends).all()
        end, of_x, of_z = ends[0], ends[1] - ends[0], ends[2:] - ends[0]
        # normal data: affine, so these are the mean and the variance over all z
        centre = end + of_x * (np.where(NORMAL, mean, 0.0) - x)
        np.testing.assert_allclose(centre[NORMAL], mean_s, rtol=1e-8)
        variance = (of_x * std) ** 2 + (of_z**2).sum(axis=0)
        spread.append(float(np.abs(np.sqrt(variance[NORMAL]) / std_s - 1).max()))
        path.append(float(np.abs((end - exact) / std_s).max()))
    assert bool(np.any(of_z)) == noisy
    if noisy:
        assert_order(spread, file.ORDER, "standard deviation", exactly=file.ORDER == 1)
    else:
        assert_order(path, file.ORDER, "path", exactly=True)


def test_scalings_change_nothing_but_the_scale(x64, solver_name):
    """x divided by its size takes the same path, also through times between t and s."""
    fields = {"repeats": 1, "num_steps": 1} if solver_name == "restart" else {}
    curves, names = ("cosine", "edm", "vp_sde"), scalings.__all__
    made = [
        getattr(scalings, b)(getattr(schedules, a)()) for a in curves for b in names
    ]
    ends = []
    for schedule in as_one(made):
        t, s = (float(schedule.t_of(jnp.asarray(v))) for v in (START, END))
        ts, starts = jnp.linspace(t, s, 13), jnp.asarray(DEVIATES[None])
        z = jnp.sin(jnp.arange(12 * 3 * 4.0)).reshape(12, 3, 1, 4)
        size, size_s = (np.hypot(*marginal(schedule, u)[:2]) for u in (t, s))
        solver = load(solver_name).make(schedule, **fields)
        end = end_of(solver, schedule, ts, 12, starts * size, z)
        ends.append(np.asarray(end) / size_s)
    for k, end in enumerate(ends):
        own = ends[k - k % len(names)]
        np.testing.assert_allclose(end, own, rtol=1e-8, atol=1e-9)


def density_error(solver, schedule, n):
    """Second moment of the two-mode column at END against the exact one, relative.

    The density itself is carried down the steps, by quadrature over x (a step's law is
    normal given x, its mean and spread read off from z = 0 and z = 1).
    """
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    ts, points = jnp.linspace(t, s, n + 1), 400
    y = np.linspace(-6, 6, points)

    def size(t):
        alpha, sigma, *_ = marginal(schedule, t)
        return np.hypot(alpha, sigma)

    def law(x, t):
        alpha, sigma, *_ = marginal(schedule, t)
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
    alpha, sigma, *_ = marginal(schedule, s)
    exact = alpha**2 * (1 + 0.16) + sigma**2
    return abs(((y * size(s)) ** 2 @ mass) / exact - 1)


@jax.jit
def step_laws(solver, schedule, ts, x):
    """One step from each x[i] at t[i], with z = 0 and z = 1: f64[n, points] each."""

    def one(t, s, x, z):
        def at(x):
            row = jnp.broadcast_to(x, (1, 4))
            pair = jnp.stack([t, s])
            draws = jnp.full((1, MAX_DRAWS, 1, 4), z)
            return travel(solver, schedule, pair, row, draws)[0, 0, 2]

        return jax.vmap(at)(x)

    steps = jax.vmap(one, (0, 0, 0, None))
    return steps(ts[:-1], ts[1:], x, 0.0), steps(ts[:-1], ts[1:], x, 1.0)


def memoryless_and_noisy():
    for name in ("ddim", "ddpm"):
        for fields in VARIANTS[name]:
            if fields.get("eta") != 0:
                yield name, fields


@pytest.mark.parametrize(("name", "fields"), list(memoryless_and_noisy()))
@pytest.mark.parametrize("curve", ["cosine", "linear_mix", "edm"])
def test_ancestral_steps_converge_on_two_modes(x64, name, fields, curve):
    schedule = getattr(schedules, curve)()
    solver = load(name).make(schedule, **fields)
    errors = [density_error(solver, schedule, n) for n in (32, 64)]
    assert errors[-1] < 0.1
    assert abs(np.log2(errors[0] / errors[1]) - load(name).ORDER) < 0.2, errors


# --- the ends ---


@partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def one_step(solver, t, x, said):
    times = t, jnp.zeros_like(t)
    return solver.step(lambda *_: said, SEEDS, x, *times, solver.init(x))[0]


def test_every_solver_ends_on_the_estimate_of_the_data(solver_name):
    """The step to t = 0 gives x0 itself, finite and without noise, also from t = 1."""
    x = jnp.array([[3.0, -0.2, 0.7]])
    said = Denoised(jnp.array([[0.25, -0.5, 0.75]]), jnp.full_like(x, 0.5))
    made = [getattr(schedules, name)() for name in schedules.__all__]
    for fields in VARIANTS.get(solver_name, [{}]) or [{}]:
        for schedule in as_one(made):
            solver = load(solver_name).make(schedule, **fields)
            for t in (1.0, 0.4):
                got = one_step(solver, jnp.array(t), x, said)
                np.testing.assert_allclose(got, said.x0, rtol=1e-6)


@pytest.mark.parametrize("curve", ["edm", "linear_beta", "linear_mix"])
def test_every_solver_is_sane_over_thousands_of_even_steps(solver_name, curve):
    """In float32, where EDM's cleanest sigmas, t^7, have squares below its range.

    With x0 said to be .25 always, (x_t - alpha .25) / sigma is unit noise throughout.
    """
    schedule = getattr(schedules, curve)()

    def denoise(x, t, cond):
        return Denoised(jnp.full_like(x, 0.25), jnp.zeros_like(x))

    ts = jnp.asarray(grids.uniform(schedule, 4000))
    seeds = jax.random.split(jax.random.key(3), 4)
    x_T = 0.25 * schedule.alpha(ts[0]) + schedule.sigma(ts[0]) * jax.random.normal(
        jax.random.key(4), (4, 3)
    )
    solver = load(solver_name).make(schedule)
    x, trace = sampling.sample(seeds, Partial(denoise), solver, ts, x_T, trace=True)
    np.testing.assert_array_equal(x, np.full((4, 3), 0.25))
    alpha, sigma = (np.asarray(f(ts[:-1]))[:, None, None] for f in schedule[:2])
    clear = sigma[:, 0, 0] > 1e-3 * alpha[:, 0, 0]  # else rounding of x_t shows
    z = ((trace.x_t - 0.25 * alpha) / np.where(sigma > 0, sigma, 1))[clear]
    assert np.isfinite(trace.x_t).all()
    assert np.abs(z).max() < 6 and 0.5 < z.std() < 1.5


def test_every_solver_states_its_order(solver_name):
    file = load(solver_name)
    if solver_name != "consistency":  # which approximates nothing
        assert isinstance(file.ORDER, int) and file.ORDER >= 1
    assert "Source:" in file.make.__doc__
