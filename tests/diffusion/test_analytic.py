"""Closed forms against others: quadrature, Tweedie's formula, quantiles."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxdiff.diffusion import analytic, schedules
from jaxdiff.diffusion.analytic import Mixture
from tests.slow import slow_but

# a normal, and three modes of different weights and widths
LAW = Mixture(
    weights=np.array([[0.2, 0.5], [0.5, 0.2], [0.3, 0.3]]),
    means=np.array([[0.3, -1.0], [0.3, 0.2], [0.3, 1.5]]),
    stds=np.array([[0.5, 0.4], [0.5, 0.1], [0.5, 0.7]]),
)
CURVES = ("cosine", "linear_mix", "edm")
X = np.array([[-1.2, 0.4], [0.1, -0.9], [0.8, 2.1]])


def density(law, x, column):
    weights, means, stds = (np.asarray(a)[:, column] for a in law)
    return (weights * stats.norm.pdf(np.asarray(x)[..., None], means, stds)).sum(-1)


@pytest.mark.parametrize("curve", CURVES)
def test_the_denoiser_is_bayes_rule_by_quadrature(curve, x64):
    schedule, t = getattr(schedules, curve)(), 0.4
    alpha, sigma = (float(f(jnp.asarray(t))) for f in schedule[:2])
    grid = np.linspace(-8, 8, 40_001)
    got = analytic.make_denoise(LAW, schedule)(jnp.asarray(X), jnp.asarray(t), None).x0
    for row in range(3):
        for column in range(2):
            likelihood = stats.norm.pdf(X[row, column], alpha * grid, sigma)
            mass = density(LAW, grid, column) * likelihood
            expected = (mass * grid).sum() / mass.sum()
            assert float(got[row, column]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("curve", CURVES)
def test_the_denoiser_is_tweedies_formula_of_the_marginal(curve, x64):
    """E[x0 | x_t] = (x_t + sigma^2 d log p(x_t) / dx_t) / alpha."""
    schedule, t = getattr(schedules, curve)(), 0.7
    alpha, sigma = (schedule.alpha(jnp.asarray(t)), schedule.sigma(jnp.asarray(t)))
    weights, means, stds = analytic.marginal(LAW, schedule, t)

    def log_p(x):
        parts = jnp.log(weights) + jax.scipy.stats.norm.logpdf(x[None], means, stds)
        return jax.nn.logsumexp(parts, axis=0).sum()

    score = jnp.stack([jax.grad(log_p)(x) for x in jnp.asarray(X)])
    got = analytic.make_denoise(LAW, schedule)(jnp.asarray(X), jnp.asarray(t), None).x0
    chex.assert_trees_all_close(got, (X + sigma**2 * score) / alpha, rtol=1e-9)


def test_images_are_denoised_value_by_value():
    schedule, t = schedules.cosine(), jnp.array([0.2, 0.5, 0.8])
    denoise = analytic.make_denoise(LAW, schedule)
    rows = denoise(jnp.asarray(X, jnp.float32), t, None).x0
    images = jnp.broadcast_to(jnp.asarray(X, jnp.float32)[:, None, None], (3, 4, 5, 2))
    expected = jnp.broadcast_to(rows[:, None, None], images.shape)
    chex.assert_trees_all_close(denoise(images, t, None).x0, expected, rtol=1e-6)


def test_moments_of_the_law_and_of_its_marginal(x64):
    schedule, t = schedules.cosine(), 0.3
    grid = np.linspace(-12, 12, 100_001)
    for law in (LAW, analytic.marginal(LAW, schedule, t)):
        mean, variance = analytic.moments(law)
        for column in range(2):
            mass = density(law, grid, column)
            mass /= mass.sum()
            centre = (mass * grid).sum()
            assert mean[column] == pytest.approx(centre, abs=1e-9)
            spread = (mass * (grid - centre) ** 2).sum()
            assert variance[column] == pytest.approx(spread, rel=1e-9)
    alpha, sigma = (float(f(jnp.asarray(t))) for f in schedule[:2])
    mean, variance = analytic.moments(LAW)
    got = analytic.moments(analytic.marginal(LAW, schedule, t))
    chex.assert_trees_all_close(got[0], alpha * mean, rtol=1e-12)
    chex.assert_trees_all_close(got[1], alpha**2 * variance + sigma**2, rtol=1e-12)


@pytest.mark.parametrize("curve", slow_but(CURVES[:1], CURVES))
def test_the_flow_keeps_deviates_of_a_normal_and_quantiles_of_any_law(curve, x64):
    schedule, t, s = getattr(schedules, curve)(), 0.8, 0.3
    end = analytic.transport(LAW, schedule, X, t, s)
    here, there = (analytic.marginal(LAW, schedule, u) for u in (t, s))
    deviates = (X[:, 0] - here.means[0, 0]) / here.stds[0, 0]
    expected = there.means[0, 0] + there.stds[0, 0] * deviates
    chex.assert_trees_all_close(end[:, 0], expected, rtol=1e-10)
    back = analytic.transport(LAW, schedule, end, s, t)
    chex.assert_trees_all_close(back, X, rtol=1e-8)
    for row in range(3):  # of the mixture, by integrals of its density
        grids = (np.linspace(-400, x, 2_000_001) for x in (X[row, 1], end[row, 1]))
        below = [
            np.trapezoid(density(law, grid, 1), grid)
            for law, grid in zip((here, there), grids, strict=True)
        ]
        assert below[0] == pytest.approx(below[1], abs=1e-6)


def test_the_flow_has_the_slope_of_the_denoiser(x64):
    """With alpha = 1 the ODE is dx / dsigma = (x - x0(x)) / sigma."""
    schedule, t, h = schedules.edm(), 0.5, 1e-4
    sigma, up, down = (float(schedule.sigma(jnp.asarray(u))) for u in (t, t + h, t - h))
    ends = [analytic.transport(LAW, schedule, X, t, u) for u in (t + h, t - h)]
    x0 = analytic.make_denoise(LAW, schedule)(jnp.asarray(X), jnp.asarray(t), None).x0
    slope = (ends[0] - ends[1]) / (up - down)
    chex.assert_trees_all_close(slope, (X - np.asarray(x0)) / sigma, rtol=1e-5)
