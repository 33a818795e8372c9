"""Clusters with classes: the closed forms against quadrature and other closed forms."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from jaxdiff.diffusion import analytic, clusters, schedules
from jaxdiff.diffusion.clusters import Clusters

LAW = Clusters(
    weights=np.array([0.5, 0.2, 0.3]),
    means=np.array([[-1.0, 0.4], [0.3, -0.6], [0.8, 0.9]]),
    stds=np.array([0.3, 0.5, 0.2]),
    classes=np.array([[1, 1, 0], [0, 0, 1]], bool),
)
X = np.array([[0.1, 0.2], [-0.7, 0.5], [0.9, 0.3]], np.float32)


def by_quadrature(schedule, x, t, kept):
    """E[x0 | x_t] and p(x_t) of the clusters `kept`, summed over a fine grid of x0."""
    at = np.linspace(-4, 4, 401)
    x0 = np.stack(np.meshgrid(at, at), axis=-1)
    prior = sum(
        LAW.weights[i] * multivariate_normal(LAW.means[i], LAW.stds[i] ** 2).pdf(x0)
        for i in kept
    )
    alpha, sigma = (float(f(jnp.asarray(t))) for f in (schedule.alpha, schedule.sigma))
    joint = prior * multivariate_normal(x, sigma**2).pdf(alpha * x0)
    mass = joint.sum() * (at[1] - at[0]) ** 2
    return (joint[..., None] * x0).sum(axis=(0, 1)) / joint.sum(), mass


@pytest.mark.parametrize("t", [0.3, 0.6])
def test_denoiser_and_classifier_by_quadrature(t):
    schedule, label = schedules.cosine(), jnp.array([0, 1, -1])
    kept = [0, 1], [2], [0, 1, 2]
    denoise = clusters.make_class_denoise(LAW, schedule)
    x0 = denoise(jnp.asarray(X), jnp.asarray(t), label).x0
    expected = [by_quadrature(schedule, x, t, k) for x, k in zip(X, kept, strict=True)]
    chex.assert_trees_all_close(x0, np.array([e[0] for e in expected]), atol=1e-4)

    logits = clusters.make_class_logits(LAW, schedule)(jnp.asarray(X), jnp.asarray(t))
    masses = [[by_quadrature(schedule, x, t, k)[1] for k in kept[:2]] for x in X]
    shares = np.array(masses) / np.sum(masses, axis=1, keepdims=True)
    chex.assert_trees_all_close(jax.nn.softmax(logits), shares, atol=1e-4)


def test_one_column_is_the_mixture_of_independent_columns():
    schedule, x = schedules.edm(), jnp.linspace(-2, 2, 9)[:, None]
    one = LAW._replace(means=LAW.means[:, :1])
    law = analytic.Mixture(LAW.weights[:, None], one.means, LAW.stds[:, None])
    t = jnp.linspace(0.2, 0.9, 9)
    mine = clusters.make_class_denoise(one, schedule)(x, t, jnp.full(9, -1)).x0
    theirs = analytic.make_denoise(law, schedule)(x, t, None).x0
    chex.assert_trees_all_close(mine, theirs, atol=1e-5)
