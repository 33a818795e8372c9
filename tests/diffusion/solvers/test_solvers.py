"""Every solver in the folder: the order it states, in float64, against closed forms.

Data: N(.3, .5^2), and two modes. Both have a closed-form denoiser. What the noise does
is read off exactly: a step's draws are replaced by numbers handed in (`travel`), so the
end is a function of x_T and z, affine in both for normal data, and its slopes (by
`probes`) give the mean and the variance over all noise without sampling.
"""

import importlib
from functools import partial
from itertools import pairwise
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy import optimize, stats
from scipy.special import ndtr

from jaxdiff import keys as keying
from jaxdiff.diffusion import grids, predictions, sampling, schedules, solvers
from jaxdiff.diffusion.denoisers import Denoised, clip_x0_only, make_denoise
from jaxdiff.diffusion.inputs import index

# what else is to be tested of a solver than its defaults
VARIANTS = {
    "ddim": [{"eta": 0.0}, {"eta": 0.5}, {"eta": 1.0}],
    "ddpm": [{"variance": "small"}, {"variance": "large"}],
}
MAX_DRAWS = 2  # of noise in one step
SEEDS = jax.random.split(jax.random.key(0), 1)

# each column a data law: modes at LOW and HIGH, half the data each
LOW, HIGH = np.array([0.3, 0.3, -1.0, -1.0]), np.array([0.3, 0.3, 1.0, 1.0])
SPREAD = np.array([0.5, 0.5, 0.4, 0.4])
NORMAL = LOW == HIGH
DEVIATES = np.array([-1.2, 0.7, -0.4, 1.1])  # where each column starts

# log-SNRs that every schedule has, so that none is tested beyond its ends
START, END = -4.5, 2.0
STEPS = 32, 64, 128


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


def probes(x):
    """Rows of starts and draws: x alone, x + 1, and x with each draw in turn 1."""
    rows = 2 + STEPS[-1] * MAX_DRAWS
    starts = np.tile(x, (rows, 1))
    starts[1] += 1
    z = np.eye(rows)[2:].reshape(STEPS[-1], MAX_DRAWS, rows, 1)
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


def assert_order(errors, order, what):
    """Errors at STEPS fall as step^order, and are far from 1 at the last."""
    assert errors[-1] < 0.1, (what, errors)
    seen = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    # at order p and n steps the next term makes it p + O(1 / n); the last is closest
    assert abs(seen[-1] - order) < 0.12, (what, errors, seen)


def test_every_solver_converges_at_its_order(x64, solver_name, schedule):
    file = load(solver_name)
    t, s = (float(schedule.t_of(jnp.asarray(value))) for value in (START, END))
    alpha, sigma, mean, std = marginal(schedule, t)
    alpha_s, sigma_s, mean_s, std_s = marginal(schedule, s)
    x = np.where(NORMAL, mean, 0.0) + std * DEVIATES
    exact = transported(alpha, sigma, x, alpha_s, sigma_s)
    starts, z = probes(x)
    for fields in VARIANTS.get(solver_name, [{}]):
        solver, path, spread = file.make(schedule, **fields), [], []
        for n in STEPS:
            # one length for all, and so one compilation: the rest goes on below s
            rest = s * (1 - np.arange(1, STEPS[-1] - n + 1) / (2 * STEPS[-1]))
            ts = jnp.asarray(np.concatenate([np.linspace(t, s, n + 1), rest]))
            ends = np.asarray(end_of(solver, schedule, ts, n, starts, z))
            assert np.isfinite(ends).all()
            end, of_x, of_z = ends[0], ends[1] - ends[0], ends[2:] - ends[0]
            # normal data: affine, so these are the mean and the variance over all z
            centre = end + of_x * (np.where(NORMAL, mean, 0.0) - x)
            np.testing.assert_allclose(centre[NORMAL], mean_s, rtol=1e-9)
            variance = (of_x * std) ** 2 + (of_z**2).sum(axis=0)
            spread.append(float(np.abs(np.sqrt(variance[NORMAL]) / std_s - 1).max()))
            if not np.any(of_z):
                path.append(float(np.abs((end - exact) / std_s).max()))
        assert_order(spread, file.ORDER, (fields, "standard deviation"))
        if path:
            assert_order(path, file.ORDER, (fields, "path"))
        # eta = 0 must have been deterministic, and ancestral steps not
        if solver_name == "ddim":
            assert bool(path) == (fields["eta"] == 0)
        if solver_name == "ddpm":
            assert not path


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


# --- published errors (FACTS.md): |x - exact| from x_T = 80, data N(0, .25) ---


def test_ddim_has_the_published_errors(x64, assert_listed):
    schedule = schedules.edm()
    solver = load("ddim").make(schedule)

    def denoise(x, t, cond):
        return Denoised(x * 0.25 / (0.25 + schedule.sigma(t) ** 2))

    errors = []
    for n in (20, 40, 80, 160):
        ts = jnp.asarray(grids.karras(schedule, n + 1)[:-1])  # n intervals to .002
        x_T = jnp.full((1, 1), 80.0)
        x = sampling.sample(SEEDS, Partial(denoise), solver, ts, x_T)
        exact = 80 * np.sqrt((0.25 + 0.002**2) / (0.25 + 80**2))
        errors.append(abs(float(x[0, 0]) - exact))
    # listed as 6.622e-2 and 8.802e-3
    assert_listed(errors[0], "0.06622")
    assert_listed(errors[-1], "0.008802")
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert_listed(orders, "0.95", "0.97", "0.99")


# --- noise, by hand ---


def ddpm_of(schedule, x, x0, z, t, s, log_variance):
    """x_s of algorithm 2 for a table: alpha_bar and nothing else."""
    bar_t, bar_s = (float(schedule.alpha(jnp.asarray(u))) ** 2 for u in (t, s))
    beta = 1 - bar_t / bar_s
    mean = (np.sqrt(bar_s) * beta * x0 + np.sqrt(1 - beta) * (1 - bar_s) * x) / (
        1 - bar_t
    )
    small = beta * (1 - bar_s) / (1 - bar_t)
    return mean + np.exp(0.5 * log_variance(small, beta)) * z


@pytest.mark.parametrize(
    ("fields", "log_variance"),
    [
        ({"variance": "small"}, lambda small, beta: np.log(small)),
        ({"variance": "large"}, lambda small, beta: np.log(beta)),
        (
            {"variance": "learned"},
            lambda small, beta: 0.25 * np.log(beta) + 0.75 * np.log(small),
        ),
    ],
)
def test_ddpm_step_by_hand(x64, fields, log_variance):
    schedule = schedules.linear_beta()
    x, x0 = jnp.array([[0.7, -1.3]]), jnp.array([[0.2, 0.9]])
    for i, before in ((999, 998), (500, 460), (1, 0)):
        t, s = jnp.asarray((i + 1) / 1000), jnp.asarray((before + 1) / 1000)
        got, _ = (
            load("ddpm")
            .make(schedule, **fields)
            .step(lambda *_: Denoised(x0, jnp.full((1, 2), 0.25)), SEEDS, x, t, s, ())
        )
        z = keying.draw(jax.random.normal, SEEDS, (2,))
        expected = ddpm_of(schedule, x, x0, z, t, s, log_variance)
        np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_step_by_hand(x64, eta):
    # Song et al. eq. 12 and 16, in alpha_bar
    schedule = schedules.linear_beta()
    x, x0 = jnp.array([[0.7, -1.3]]), jnp.array([[0.2, 0.9]])
    t, s = jnp.asarray(0.421), jnp.asarray(0.401)
    got, _ = (
        load("ddim")
        .make(schedule, eta=eta)
        .step(lambda *_: Denoised(x0), SEEDS, x, t, s, ())
    )
    bar_t, bar_s = (float(schedule.alpha(u)) ** 2 for u in (t, s))
    up = eta * np.sqrt((1 - bar_s) / (1 - bar_t)) * np.sqrt(1 - bar_t / bar_s)
    eps = (np.asarray(x) - np.sqrt(bar_t) * np.asarray(x0)) / np.sqrt(1 - bar_t)
    z = np.asarray(keying.draw(jax.random.normal, SEEDS, (2,)))
    expected = np.sqrt(bar_s) * x0 + np.sqrt(1 - bar_s - up**2) * eps + up * z
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_ddims_eta_is_the_angle_articles_stochasticity(x64):
    # up = stochasticity sqrt(1 - (alpha_t / alpha_s)^2) sigma_s / sigma_t
    schedule = schedules.angle()
    t, s = jnp.asarray(0.6), jnp.asarray(0.4)
    alpha_t, sigma_t, *_ = marginal(schedule, t)
    alpha_s, sigma_s, *_ = marginal(schedule, s)
    nil = jnp.zeros((1, 1))
    got, _ = (
        load("ddim")
        .make(schedule, eta=0.8)
        .step(lambda *_: Denoised(nil), SEEDS, nil, t, s, ())
    )
    z = float(keying.draw(jax.random.normal, SEEDS, (1,))[0, 0])
    up = 0.8 * np.sqrt(1 - (alpha_t / alpha_s) ** 2) * sigma_s / sigma_t
    assert float(got[0, 0]) == pytest.approx(up * z, rel=1e-9)


def test_ancestral_samples_have_the_mean_and_variance_of_their_recursion(x64):
    """Many samples, within 4 standard errors of moments carried in numpy."""
    schedule, count = schedules.cosine(), 20_000
    ts = np.asarray(schedule.t_of(jnp.linspace(-4.5, 2.0, 7)))
    alpha, _, mean, std = marginal(schedule, ts[0])
    variance = std**2
    for t, s in pairwise(ts):
        (a_t, s_t, *_), (a_s, s_s, *_) = marginal(schedule, t), marginal(schedule, s)
        gain = a_t * 0.25 / (a_t**2 * 0.25 + s_t**2)  # x0 = .3 + gain (x - .3 alpha)
        fresh = s_t**2 - (a_t / a_s) ** 2 * s_s**2
        of_x = a_t / a_s * s_s**2 / s_t**2 + a_s * fresh / s_t**2 * gain
        mean = of_x * (mean - a_t * 0.3) + a_s * 0.3
        variance = of_x**2 * variance + fresh * s_s**2 / s_t**2

    def denoise(x, t, cond):
        a, s = schedule.alpha(t), schedule.sigma(t)
        return Denoised(0.3 + a * 0.25 / (a**2 * 0.25 + s**2) * (x - a * 0.3))

    key = jax.random.key(7)
    x_T = alpha * 0.3 + std * jax.random.normal(key, (count, 1))
    seeds = jax.random.split(jax.random.key(8), count)
    for solver in (load("ddpm").make(schedule), load("ddim").make(schedule, eta=1.0)):
        x = np.asarray(
            sampling.sample(seeds, Partial(denoise), solver, jnp.asarray(ts), x_T)
        )
        assert abs(x.mean() - mean) < 4 * np.sqrt(variance / count)
        assert abs(x.var() / variance - 1) < 4 * np.sqrt(2 / count)


# --- the solvers among themselves ---

CURVED = Partial(lambda x, t, cond: Denoised(jnp.tanh(2 * x), jnp.zeros_like(x)))


def many(solver, ts, denoise=CURVED):
    seeds = jax.random.split(jax.random.key(3), 4)
    x_T = jax.random.normal(jax.random.key(4), (4, 3))
    return sampling.sample(seeds, denoise, solver, jnp.asarray(ts), x_T)


def test_ddpm_small_is_ddim_eta_one_over_the_whole_table(x64):
    schedule = schedules.linear_beta()
    ts = grids.discrete(schedule, 1000)
    small = many(load("ddpm").make(schedule, variance="small"), ts)
    eta = many(load("ddim").make(schedule, eta=1.0), ts)
    np.testing.assert_allclose(small, eta, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("frac", "variance"), [(0.0, "small"), (1.0, "large")])
def test_learned_variance_at_its_ends_is_small_and_large(x64, frac, variance):
    schedule = schedules.linear_beta()

    def denoise(x, t, cond):
        return Denoised(jnp.tanh(2 * x), jnp.full_like(x, frac))

    ts = grids.discrete(schedule, 10)
    learned = many(
        load("ddpm").make(schedule, variance="learned"), ts, Partial(denoise)
    )
    fixed = many(load("ddpm").make(schedule, variance=variance), ts)
    np.testing.assert_allclose(learned, fixed, rtol=1e-12)


def test_every_solver_ends_on_the_estimate_of_the_data(solver_name, schedule):
    """The step to t = 0 gives x0 itself, finite and without noise, also from t = 1."""
    x = jnp.array([[3.0, -0.2, 0.7]])
    said = Denoised(jnp.array([[0.25, -0.5, 0.75]]), jnp.full_like(x, 0.5))
    for fields in VARIANTS.get(solver_name, [{}]):
        solver = load(solver_name).make(schedule, **fields)
        for t in (1.0, 0.4):
            times = jnp.array(t), jnp.array(0.0)
            got, _ = solver.step(lambda *_: said, SEEDS, x, *times, solver.init(x))
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


# --- golden loops ---


def test_ddim_has_diffusers_golden_sums(x64):
    """x = arange(768), model(x, i) = x i / (i + 1): diffusers' own scheduler test."""
    schedule = schedules.linear_beta()
    x_T = np.arange(768).reshape(3, 8, 8, 4) / 768
    x_T = jnp.asarray(np.moveaxis(x_T, 3, 0))  # (4, 3, 8, 8)
    ts = jnp.asarray(grids.discrete(schedule, 10, spacing="leading"))

    def network(x_t, c, cond):
        i = index(1000)(c)[:, None, None, None]
        return x_t * i / (i + 1)

    for prediction, expected in (("eps", 172.0067), ("v", 52.5302)):
        denoise = make_denoise(
            Partial(network),
            schedule=schedule,
            prediction=getattr(predictions, prediction)(),
        )
        x = sampling.sample(
            jax.random.split(jax.random.key(0), 4),
            clip_x0_only(denoise, schedule),
            load("ddim").make(schedule),
            ts,
            x_T,
        )
        # theirs is summed in float32: 768 values of 6e-8 each
        assert float(jnp.abs(x).sum()) == pytest.approx(expected, abs=2e-3)


def test_ddim_on_the_straight_path_is_the_linear_mix_loop(x64):
    """x <- x (1 - m) + x0_hat m, m = 1 / (n - i): the article's loop, every step."""
    schedule, n = schedules.linear_mix(), 7

    def network(x_t, c, cond):
        return jnp.sin(3 * x_t) + 0.1 * x_t**2

    denoise = make_denoise(
        Partial(network), schedule=schedule, prediction=predictions.x0()
    )
    x_T = jnp.linspace(0, 1, 12).reshape(2, 6)
    end, trace = sampling.sample(
        jax.random.split(jax.random.key(0), 2),
        denoise,
        load("ddim").make(schedule),
        jnp.asarray(grids.uniform(schedule, n)),
        x_T,
        trace=True,
    )
    x = np.asarray(x_T)
    for i in range(n):
        np.testing.assert_allclose(trace.x_t[i], x, rtol=1e-10, atol=1e-12)
        guess = np.sin(3 * x) + 0.1 * x**2
        np.testing.assert_allclose(trace.x0[i], guess, rtol=1e-10, atol=1e-12)
        m = 1 / (n - i)
        x = x * (1 - m) + guess * m
    np.testing.assert_allclose(end, x, rtol=1e-10)


# --- makers ---


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("ddim", {"eta": 1.5}, r"eta must be in \[0, 1\], got eta=1\.5"),
        ("ddim", {"eta": -0.1}, r"eta=-0\.1"),
        ("ddpm", {"variance": "tiny"}, "small, large, learned, got variance='tiny'"),
    ],
)
def test_wrong_arguments_are_named(name, fields, message):
    with pytest.raises(ValueError, match=message):
        load(name).make(schedules.cosine(), **fields)


def test_makers_can_be_swept():
    # 'eta' is looked at when it is a number, and is a leaf like any other when traced
    schedule, etas = schedules.cosine(), jnp.array([0.0, 0.5, 1.0])
    ts = np.linspace(1, 0, 5)
    got = jax.vmap(lambda eta: many(load("ddim").make(schedule, eta=eta), ts))(etas)
    for i, eta in enumerate((0.0, 0.5, 1.0)):
        one = many(load("ddim").make(schedule, eta=eta), ts)
        np.testing.assert_allclose(got[i], one, rtol=1e-5, atol=1e-6)
    assert float(jnp.abs(got[0] - got[2]).max()) > 1e-3


def test_every_solver_states_its_order(solver_name):
    file = load(solver_name)
    assert isinstance(file.ORDER, int) and file.ORDER >= 1
    assert "Source:" in file.make.__doc__
