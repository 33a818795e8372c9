"""DDIM and DDPM: steps by hand, published errors and golden loops, and one another."""

from itertools import pairwise

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import grids, predictions, sampling, schedules
from jaxdiff.diffusion.denoisers import clip_x0_only, make_denoise
from jaxdiff.diffusion.inputs import index
from jaxdiff.diffusion.solvers import ddim, ddpm
from jaxdiff.diffusion.types import Denoised

SEEDS = jax.random.split(jax.random.key(0), 1)


def noise_of(*columns):
    return sampling.make_step_noise(SEEDS, columns)


def marginal(schedule, t):
    """alpha, sigma, and mean and standard deviation of N(.3, .5^2) at t."""
    alpha, sigma = (float(f(jnp.asarray(t))) for f in schedule[:2])
    return alpha, sigma, alpha * 0.3, np.hypot(alpha * 0.5, sigma)


# --- published errors (FACTS.md): |x - exact| from x_T = 80, data N(0, .25) ---


def test_ddim_has_the_published_errors(x64, assert_listed):
    schedule = schedules.edm()
    solver = ddim.make(schedule)

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
        solver, z = ddpm.make(schedule, **fields), noise_of(2)
        den = Denoised(x0, jnp.full((1, 2), 0.25))
        got, _ = solver.step(lambda *_: den, z, x, t, s, solver.init(x))  # noqa: B023
        z = jax.random.normal(SEEDS[0], (1, 2))
        expected = ddpm_of(schedule, x, x0, z, t, s, log_variance)
        chex.assert_trees_all_close(got, expected, rtol=1e-8)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_step_by_hand(x64, eta):
    # Song et al. eq. 12 and 16, in alpha_bar
    schedule = schedules.linear_beta()
    x, x0 = jnp.array([[0.7, -1.3]]), jnp.array([[0.2, 0.9]])
    t, s = jnp.asarray(0.421), jnp.asarray(0.401)
    got, _ = ddim.make(schedule, eta=eta).step(
        lambda *_: Denoised(x0), noise_of(2), x, t, s, ()
    )
    bar_t, bar_s = (float(schedule.alpha(u)) ** 2 for u in (t, s))
    up = eta * np.sqrt((1 - bar_s) / (1 - bar_t)) * np.sqrt(1 - bar_t / bar_s)
    eps = (np.asarray(x) - np.sqrt(bar_t) * np.asarray(x0)) / np.sqrt(1 - bar_t)
    z = np.asarray(jax.random.normal(SEEDS[0], (1, 2)))
    expected = np.sqrt(bar_s) * x0 + np.sqrt(1 - bar_s - up**2) * eps + up * z
    chex.assert_trees_all_close(got, expected, rtol=1e-10)


def test_ddims_eta_is_the_angle_articles_stochasticity(x64):
    # up = stochasticity sqrt(1 - (alpha_t / alpha_s)^2) sigma_s / sigma_t
    schedule = schedules.angle()
    t, s = jnp.asarray(0.6), jnp.asarray(0.4)
    alpha_t, sigma_t, *_ = marginal(schedule, t)
    alpha_s, sigma_s, *_ = marginal(schedule, s)
    nil = jnp.zeros((1, 1))
    got, _ = ddim.make(schedule, eta=0.8).step(
        lambda *_: Denoised(nil), noise_of(1), nil, t, s, ()
    )
    z = float(jax.random.normal(SEEDS[0], (1,))[0])
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
        added = s_t**2 - (a_t / a_s) ** 2 * s_s**2
        of_x = a_t / a_s * s_s**2 / s_t**2 + a_s * added / s_t**2 * gain
        mean = of_x * (mean - a_t * 0.3) + a_s * 0.3
        variance = of_x**2 * variance + added * s_s**2 / s_t**2

    def denoise(x, t, cond):
        a, s = schedule.alpha(t), schedule.sigma(t)
        return Denoised(0.3 + a * 0.25 / (a**2 * 0.25 + s**2) * (x - a * 0.3))

    key = jax.random.key(7)
    x_T = alpha * 0.3 + std * jax.random.normal(key, (count, 1))
    seeds = jax.random.split(jax.random.key(8), count)
    for solver in (ddpm.make(schedule), ddim.make(schedule, eta=1.0)):
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
    small = many(ddpm.make(schedule, variance="small"), ts)
    eta = many(ddim.make(schedule, eta=1.0), ts)
    chex.assert_trees_all_close(small, eta, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("frac", "variance"), [(0.0, "small"), (1.0, "large")])
def test_learned_variance_at_its_ends_is_small_and_large(x64, frac, variance):
    schedule = schedules.linear_beta()

    def denoise(x, t, cond):
        return Denoised(jnp.tanh(2 * x), jnp.full_like(x, frac))

    ts = grids.discrete(schedule, 10)
    learned = many(ddpm.make(schedule, variance="learned"), ts, Partial(denoise))
    chosen = many(ddpm.make(schedule, variance=variance), ts)
    chex.assert_trees_all_close(learned, chosen, rtol=1e-12)


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
            ddim.make(schedule),
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
        ddim.make(schedule),
        jnp.asarray(grids.uniform(schedule, n)),
        x_T,
        trace=True,
    )
    x = np.asarray(x_T)
    for i in range(n):
        chex.assert_trees_all_close(trace.x_t[i], x, rtol=1e-10, atol=1e-12)
        guess = np.sin(3 * x) + 0.1 * x**2
        chex.assert_trees_all_close(trace.x0[i], guess, rtol=1e-10, atol=1e-12)
        m = 1 / (n - i)
        x = x * (1 - m) + guess * m
    chex.assert_trees_all_close(end, x, rtol=1e-10)


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
        {"ddim": ddim, "ddpm": ddpm}[name].make(schedules.cosine(), **fields)


def test_makers_can_be_swept():
    # 'eta' is looked at when it is a number, and is a leaf like any other when traced
    schedule, etas = schedules.cosine(), jnp.array([0.0, 0.5, 1.0])
    ts = np.linspace(1, 0, 5)
    got = jax.vmap(lambda eta: many(ddim.make(schedule, eta=eta), ts))(etas)
    for i, eta in enumerate((0.0, 0.5, 1.0)):
        one = many(ddim.make(schedule, eta=eta), ts)
        chex.assert_trees_all_close(got[i], one, rtol=1e-5, atol=1e-6)
    assert float(jnp.abs(got[0] - got[2]).max()) > 1e-3
