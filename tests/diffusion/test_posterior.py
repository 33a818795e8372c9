"""The posterior, learned variance and the bound's parts against published figures."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jaxdiff.diffusion import schedules
from jaxdiff.diffusion.posterior import (
    discretized_log_likelihood,
    kl_normal,
    log_variance,
    posterior,
    prior_bits,
)

LINEAR = schedules.linear_beta()


def entry(i):
    """The time of a table's entry i; -1 is the data."""
    return jnp.asarray((i + 1) / 1000)


# --- published figures of the linear table, T = 1000 ---


def test_variances_are_the_published_ones(x64, assert_listed):
    def small(i, before=None):
        before = i - 1 if before is None else before
        return posterior(LINEAR, entry(i), entry(before)).small

    assert_listed(small(1), "5.45319e-5")
    assert_listed(small(500), "0.010051336")
    assert_listed(small(487), "0.00979")
    assert_listed(small(999), "0.02")
    # DDIM's, listed cut off, not rounded, after five decimals
    assert int(small(420, 400) * 1e5) == 14771
    assert int(small(980, 960) * 1e5) == 32460
    assert float(small(0)) == 0


def test_large_variance_is_beta(x64):
    for i in (0, 1, 499, 999):
        beta = 1e-4 + (0.02 - 1e-4) * i / 999
        large = posterior(LINEAR, entry(i), entry(i - 1)).large
        assert float(large) == pytest.approx(beta, rel=1e-9)


def test_means_are_the_published_ones(x64, assert_listed):
    post = posterior(LINEAR, entry(500), entry(499))
    assert_listed(post.of_x0, "0.003058057")
    assert_listed(post.of_x_t, "0.994104351")
    first = posterior(LINEAR, entry(0), entry(-1))
    assert (float(first.of_x0), float(first.of_x_t)) == (1, 0)


def test_learned_range_is_the_published_one(x64, assert_listed):
    half = jnp.asarray(0.5)  # v = 0
    assert_listed(log_variance(LINEAR, entry(500), entry(499), half), "-4.599621")
    # clipped at the first step: the second entry's small variance
    nil = jnp.asarray(0.0)
    assert_listed(log_variance(LINEAR, entry(0), entry(-1), nil), "-9.816725")
    one = jnp.asarray(1.0)
    got = float(log_variance(LINEAR, entry(0), entry(-1), one))
    assert got == pytest.approx(np.log(1e-4), rel=1e-9)


def test_discretized_likelihood_is_the_published_one(x64, assert_listed):
    def log_p(level, mean, log_std):
        x = jnp.asarray(level / 127.5 - 1)
        return discretized_log_likelihood(x, jnp.asarray(mean), jnp.asarray(log_std))

    assert_listed(log_p(128, 0.0, 0.0), "-5.767065")
    assert_listed(log_p(128, 0.0, -3.0), "-2.771204")
    assert_listed(log_p(0, -1.0, -2.0), "-0.670294")


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.3, -3.0), (-1.0, -2.0)])
def test_the_levels_probabilities_sum_to_one(x64, mean, log_std):
    x = jnp.arange(256) / 127.5 - 1
    log_p = discretized_log_likelihood(x, jnp.full(256, mean), jnp.full(256, log_std))
    # a level further than 7 standard deviations off holds 1e-12 at least
    assert float(jnp.exp(log_p).sum()) == pytest.approx(1, abs=1e-9)


def test_discretized_likelihood_is_nearly_the_normals(x64):
    # the tanh cdf errs by 2e-4 at most; a level at the centre holds far more
    x, mean, std = jnp.arange(100, 156) / 127.5 - 1, 0.02, 0.1
    log_p = discretized_log_likelihood(x, jnp.full(56, mean), jnp.full(56, np.log(std)))
    half = 1 / 255
    upper, lower = (
        stats.norm.cdf(x + half, mean, std),
        stats.norm.cdf(x - half, mean, std),
    )
    chex.assert_trees_all_close(np.exp(log_p), upper - lower, atol=2e-4, rtol=1e-7)


def test_prior_is_the_published_one(x64, assert_listed):
    assert_listed(prior_bits(LINEAR, jnp.asarray(1.0)), "2.9113e-5")
    assert_listed(prior_bits(LINEAR, jnp.asarray(0.0)), "5.87e-10")


def test_prior_is_the_kl_of_the_last_noise_level(x64, schedule):
    x0 = jnp.array([-1.0, 0.2])
    alpha, sigma = (float(f(jnp.ones(()))) for f in schedule[:2])
    wide = max(1.0, sigma)  # where sampling starts
    keep, share = (alpha / wide * x0) ** 2, (sigma / wide) ** 2
    expected = 0.5 * (keep + share - 1 - np.log(share)) / np.log(2)
    chex.assert_trees_all_close(
        prior_bits(schedule, x0), expected, rtol=1e-6, atol=1e-12
    )


# --- what holds of every schedule and scaling ---


def test_posterior_is_bayes_rule(x64, schedule):
    """q(x_s | x_t, x0) from precisions: q(x_t | x_s) q(x_s | x0), in numpy."""
    for t, s in ((0.3, 0.1), (0.9, 0.85)):
        post = posterior(schedule, jnp.asarray(t), jnp.asarray(s))
        (a_t, a_s), (s_t, s_s) = (
            [float(f(jnp.asarray(u))) for u in (t, s)] for f in schedule[:2]
        )
        ratio = a_t / a_s
        large = s_t**2 - ratio**2 * s_s**2
        precision = ratio**2 / large + 1 / s_s**2
        assert float(post.large) == pytest.approx(large, rel=1e-8)
        assert float(post.small) == pytest.approx(1 / precision, rel=1e-8)
        assert float(post.of_x_t) == pytest.approx(ratio / large / precision, rel=1e-8)
        assert float(post.of_x0) == pytest.approx(a_s / s_s**2 / precision, rel=1e-8)


def test_posterior_keeps_the_marginals(x64, schedule):
    """x_t drawn from x0, then x_s from both, is x_s drawn from x0."""
    t, s = jnp.array([0.2, 0.6, 1.0]), jnp.array([0.1, 0.3, 0.99])
    post = posterior(schedule, t, s)
    alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
    mean = post.of_x_t * alpha_t + post.of_x0
    chex.assert_trees_all_close(mean, schedule.alpha(s), rtol=1e-9)
    variance = (post.of_x_t * sigma_t) ** 2 + post.small
    chex.assert_trees_all_close(variance, schedule.sigma(s) ** 2, rtol=1e-9)


def test_the_step_to_data_is_the_estimate_itself(schedule):
    t = jnp.array([0.05, 0.5, 1.0])
    post = posterior(schedule, t, jnp.zeros(3))
    chex.assert_trees_all_equal(post.of_x0, np.ones(3))
    chex.assert_trees_all_equal(post.of_x_t, np.zeros(3))
    chex.assert_trees_all_equal(post.small, np.zeros(3))


def test_log_variance_and_its_gradient_are_finite_at_the_data(schedule):
    t, zero = jnp.array([0.001, 0.3, 0.6, 1.0]), jnp.zeros(4)
    for frac in (0.0, 0.5, 1.0):
        f = jnp.full(4, frac)
        assert np.isfinite(log_variance(schedule, t, zero, f)).all()
        slope = jax.grad(lambda f: log_variance(schedule, t, zero, f).sum())(f)
        assert np.isfinite(slope).all()


def test_log_variance_is_the_geometric_mean(x64, schedule):
    t, s, frac = jnp.array([0.4, 0.8]), jnp.array([0.3, 0.5]), jnp.array([0.25, 0.75])
    post = posterior(schedule, t, s)
    expected = post.large**frac * post.small ** (1 - frac)
    chex.assert_trees_all_close(
        jnp.exp(log_variance(schedule, t, s, frac)), expected, rtol=1e-12
    )


def test_kl_normal_is_the_integral():
    p, q = stats.norm(0.3, 0.5), stats.norm(-0.2, 0.9)

    def integrand(x):
        return p.pdf(x) * (p.logpdf(x) - q.logpdf(x))

    expected, _ = integrate.quad(integrand, -6, 6)
    args = (0.3, 2 * np.log(0.5), -0.2, 2 * np.log(0.9))
    got = kl_normal(*(jnp.asarray(a) for a in args))
    assert float(got) == pytest.approx(expected, rel=1e-6)
    assert float(kl_normal(*(jnp.asarray(a) for a in args[:2] * 2))) == 0
