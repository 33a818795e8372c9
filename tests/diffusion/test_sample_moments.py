"""Moments of samples against closed forms: of the law itself, and of others."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.diffusion import sample_moments, schedules
from jaxdiff.diffusion.sample_moments import LAWS, TURN
from jaxdiff.diffusion.solvers import ddim, dpmpp_2m

NUM = 10_000


@pytest.mark.parametrize("name", LAWS)
def test_samples_of_another_law_are_many_standard_errors_off(name):
    schedule = schedules.cosine()

    def score(solver, steps):
        return sample_moments.largest_score(
            LAWS[name], solver.make(schedule), schedule, steps, num=NUM, seed=0
        )

    assert score(dpmpp_2m, 60) < 4
    assert score(ddim, 5) > 10


@pytest.mark.parametrize("name", LAWS)
def test_each_moment_is_scored(name):
    """Samples of the law itself, then with one of their five moments changed."""
    law = LAWS[name]
    x = sample_moments._drawn(law, NUM, seed=1)
    assert np.abs(sample_moments._scores(law, x)).max() < 4
    mean = TURN @ (law.weights * law.means).sum(axis=0)
    for value in range(2):
        moved, wider = x.copy(), x.copy()
        moved[:, value] += 0.1 * x[:, value].std()
        wider[:, value] = mean[value] + 1.1 * (x[:, value] - mean[value])
        assert sample_moments._scores(law, moved)[value] > 5
        assert sample_moments._scores(law, wider)[2 + value] > 5
    apart = np.stack([x[:, 0], np.roll(x[:, 1], 1)], axis=1)
    assert np.abs(sample_moments._scores(law, apart)[4]) > 5


def test_the_turned_denoiser_is_that_of_a_correlated_normal(x64):
    """E[x0 | x_t] = m + alpha C (alpha^2 C + sigma^2 I)^-1 (x_t - alpha m)."""
    schedule, law, t = schedules.cosine(), LAWS["normal"], jnp.asarray(0.4)
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    mean, cov = TURN @ law.means[0], TURN @ np.diag(law.stds[0] ** 2) @ TURN.T
    assert abs(cov[0, 1]) > 0.05
    x = np.array([[0.3, -0.8], [1.2, 0.4]])
    gain = alpha * cov @ np.linalg.inv(alpha**2 * cov + sigma**2 * np.eye(2))
    expected = mean + (x - alpha * mean) @ gain.T
    got = sample_moments._turned(law, schedule, jnp.asarray(x), t, None).x0
    chex.assert_trees_all_close(got, expected, rtol=1e-10)
