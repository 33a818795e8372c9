"""Denoisers: scalar and batched times, learned variance, noise and clipping."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import predictions, schedules
from jaxdiff.diffusion.denoisers import (
    clip,
    clip_x0_only,
    dynamic_threshold,
    make_denoise,
    noise_of,
)
from jaxdiff.diffusion.types import Denoised

SCHEDULE = schedules.linear_mix()
X_T = jnp.linspace(-3, 3, 12).reshape(2, 2, 3)


def constant(x0, **fields):
    """A denoiser that returns the same at every x_t and t."""
    return Partial(lambda x_t, t, cond: Denoised(jnp.full_like(x_t, x0), **fields))


def test_a_network_sees_x_t_coeffs_and_condition_of_each_example():
    def network(x_t, c, cond):
        return x_t * c.t[:, None, None] + c.sigma[:, None, None] + cond[:, None, None]

    denoise = make_denoise(
        Partial(network), schedule=SCHEDULE, prediction=predictions.x0()
    )
    cond = jnp.array([10.0, 20.0])
    got = denoise(X_T, jnp.array([0.25, 0.5]), cond).x0
    x = np.asarray(X_T)
    expected = np.stack([x[0] * 0.25 + 10.25, x[1] * 0.5 + 20.5])
    chex.assert_trees_all_close(got, expected, rtol=1e-6)
    # one time for all is that time for each
    chex.assert_trees_all_close(
        denoise(X_T, jnp.array(0.5), cond).x0,
        x * 0.5 + 0.5 + np.array([10, 20]).reshape(2, 1, 1),
        rtol=1e-6,
    )


def test_learned_variance_is_the_second_half_as_a_fraction():
    def network(x_t, c, cond):
        return jnp.concatenate([2 * x_t, jnp.full_like(x_t, -0.5)], axis=-1)

    denoise = make_denoise(
        Partial(network),
        schedule=SCHEDULE,
        prediction=predictions.eps(),
        learned_variance=True,
    )
    got = denoise(X_T, jnp.array(0.25), None)
    # x0 = (x_t - sigma eps) / alpha
    chex.assert_trees_all_close(got.x0, X_T * (1 - 0.5) / 0.75, rtol=1e-6)
    chex.assert_trees_all_close(got.var_frac, np.full(X_T.shape, 0.25), rtol=1e-6)


def test_noise_of_is_what_is_left_of_x_t():
    alpha, sigma = jnp.array(0.6), jnp.array(0.8)
    got = noise_of(Denoised(jnp.ones((2, 3))), jnp.full((2, 3), 3.0), alpha, sigma)
    chex.assert_trees_all_close(got, np.full((2, 3), 3.0), rtol=1e-6)
    clean = noise_of(Denoised(jnp.ones(2)), jnp.full(2, 3.0), jnp.ones(()), 0 * sigma)
    chex.assert_trees_all_equal(clean, np.zeros(2))
    kept = noise_of(Denoised(X_T, eps=7 * X_T), X_T, alpha, sigma)
    chex.assert_trees_all_equal(kept, 7 * X_T)


def test_clip_changes_x0_and_the_noise_with_it():
    frac = jnp.full(X_T.shape, 0.3)
    denoise = clip(constant(1.5, var_frac=frac, eps=9 * X_T), low=-0.5, high=0.75)
    got = denoise(X_T, jnp.array(0.5), None)
    chex.assert_trees_all_equal(got.x0, np.full(X_T.shape, 0.75))
    chex.assert_trees_all_equal(got.var_frac, frac)
    # x_t stays alpha x0 + sigma eps
    eps = noise_of(got, X_T, jnp.array(0.5), jnp.array(0.5))
    chex.assert_trees_all_close(0.5 * 0.75 + 0.5 * eps, X_T, rtol=1e-6)
    low = clip(constant(-2.0), low=-0.5)(X_T, jnp.array(0.5), None)
    chex.assert_trees_all_equal(low.x0, np.full(X_T.shape, -0.5))


def test_dynamic_threshold_by_hand():
    """Of [-1, 3] the middle is 1 and half the width 2."""
    x0 = jnp.array([[1.0, 2.0, 3.0, 7.0, 9.0], [1.0, 1.0, 2.0, 0.0, 3.0]])
    denoise = Partial(lambda x, t, cond: Denoised(x0, eps=x0))
    got = dynamic_threshold(denoise, 0.75, -1.0, 3.0)(x0, jnp.array(0.5), None)
    # sizes 0, .5, 1, 3, 4 of which three quarters are within 3; 0, 0, .5, .5, 1: .5
    expected = [[1, 1 + 1 / 3, 1 + 2 / 3, 3, 1 + 8 / 3], [1, 1, 2, 0, 3]]
    chex.assert_trees_all_close(got.x0, np.array(expected), rtol=1e-6)
    assert got.eps is None
    for wrong in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"quantile must be in \(0, 1\]"):
            dynamic_threshold(denoise, wrong)


def test_clip_x0_only_keeps_the_noise_as_it_was():
    got = clip_x0_only(constant(1.5), SCHEDULE)(X_T, jnp.array(0.25), None)
    chex.assert_trees_all_equal(got.x0, np.ones(X_T.shape))
    expected = (np.asarray(X_T) - 0.75 * 1.5) / 0.25
    chex.assert_trees_all_close(got.eps, expected, rtol=1e-6)


def test_clips_compose_with_the_tighter_one():
    denoise = clip(clip_x0_only(constant(1.5), SCHEDULE), high=0.5)
    got = denoise(X_T, jnp.array(0.25), None)
    chex.assert_trees_all_equal(got.x0, np.full(X_T.shape, 0.5))
    assert got.eps is None
