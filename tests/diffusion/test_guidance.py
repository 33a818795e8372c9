"""Classifier-free guidance: linear in its scale, by hand, and one doubled batch."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.diffusion import predictions, schedules
from jaxdiff.diffusion.denoisers import Denoised, make_denoise
from jaxdiff.diffusion.guidance import cfg
from jaxdiff.diffusion.predictions import make_target

NULL = 10
X_T = jnp.arange(6.0).reshape(3, 2)
LABELS = jnp.array([1, 2, 3])
T = jnp.array(0.5)


def toy(x_t, t, cond):
    """x0 = x_t label + t, eps and var_frac other multiples of it."""
    x0 = x_t * cond[:, None] + t[:, None]
    return Denoised(x0, var_frac=0.1 * x0, eps=-2 * x0)


def test_scales_zero_and_one_are_the_two_models():
    conditional = np.asarray(X_T) * np.array([[1], [2], [3]]) + 0.5
    unconditional = np.asarray(X_T) * NULL + 0.5
    for scale, expected in ((0.0, unconditional), (1.0, conditional)):
        got = cfg(Partial(toy), NULL, scale)(X_T, T, LABELS)
        np.testing.assert_allclose(got.x0, expected, rtol=1e-6)


def test_guidance_by_hand():
    # x_t = 5, label 3, t = .5: conditional 15.5, null 50.5; 50.5 + 2.5 (15.5 - 50.5)
    got = cfg(Partial(toy), NULL, 2.5)(X_T, T, LABELS)
    assert float(got.x0[2, 1]) == -37.0
    assert float(got.eps[2, 1]) == 74.0
    # the variance is the conditional model's own
    np.testing.assert_allclose(got.var_frac[2, 1], 1.55, rtol=1e-6)


def test_guidance_is_one_doubled_batch():
    calls = []

    def denoise(x_t, t, cond):
        calls.append((x_t, t, cond))
        return toy(x_t, t, cond)

    cfg(Partial(denoise), NULL, 3.0)(X_T, T, LABELS)
    ((x_t, t, cond),) = calls
    np.testing.assert_array_equal(x_t, np.concatenate([X_T, X_T]))
    np.testing.assert_array_equal(t, np.full(6, 0.5))
    np.testing.assert_array_equal(cond, [1, 2, 3, NULL, NULL, NULL])


def test_null_is_shaped_as_one_examples_condition():
    def denoise(x_t, t, cond):
        return Denoised(x_t * 0 + cond["text"] + cond["label"][:, None])

    cond = {"text": jnp.ones((3, 2)), "label": jnp.array([1, 2, 3])}
    null = {"text": jnp.array([5.0, 6.0]), "label": 0}
    got = cfg(Partial(denoise), null, 0.0)(X_T, T, cond).x0
    np.testing.assert_array_equal(got, [[5, 6]] * 3)


def test_guiding_x0_is_guiding_eps(x64):
    """Both affine in one another: equation 1 for eps is equation 1 for x0."""
    schedule, prediction = schedules.cosine(), predictions.eps()

    def network(x_t, c, cond):
        return jnp.sin(x_t * cond[:, None])

    denoise = make_denoise(Partial(network), schedule=schedule, prediction=prediction)
    t = jnp.asarray(0.5, jnp.float64)
    x0 = cfg(denoise, NULL, 3.0)(X_T.astype(t.dtype), t, LABELS).x0
    null = np.sin(np.asarray(X_T) * NULL)
    eps = null + 3 * (np.sin(np.asarray(X_T) * np.array([[1], [2], [3]])) - null)
    c = schedules.coeffs(schedule, jnp.full(3, 0.5))
    back = make_target((c.alpha, c.sigma), x0, jnp.asarray(eps))
    np.testing.assert_allclose(back, X_T, atol=1e-12)


def test_scale_can_be_swept_and_differentiated():
    def at(scale):
        return cfg(Partial(toy), NULL, scale)(X_T, T, LABELS).x0[2, 1]

    got = jax.vmap(at)(jnp.array([0.0, 1.0, 2.5]))
    np.testing.assert_allclose(got, [50.5, 15.5, -37.0], rtol=1e-6)
    assert float(jax.grad(at)(1.0)) == -35.0
