"""What an upsampler is shown, worked out by hand and by Pillow."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdiff import rng
from jaxdiff.diffusion import guidance, inputs, noises, schedules, upsampling
from jaxdiff.diffusion.conditions import Beside
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.types import Denoised

SCHEDULE = schedules.cosine()


def beside(low, amount, shape, seed=0):
    keys = jax.random.split(jax.random.key(seed), len(low))
    labels = jnp.arange(len(low))
    return keys, upsampling.beside(
        keys,
        low,
        labels,
        shape=shape,
        schedule=SCHEDULE,
        noise=noises.normal(),
        amount=amount,
    )


def test_shrinking_is_that_of_the_data_sets():
    x = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    small = Image.fromarray(x).resize((14, 14), Image.Resampling.LANCZOS)
    ours = upsampling.shrink(jnp.asarray(x)[None, ..., None], 14)[0, ..., 0]
    chex.assert_trees_all_close(ours, np.asarray(small), atol=2e-6, rtol=1e-7)


def test_without_augmentation_the_image_is_only_enlarged():
    low = jnp.array([[1.0, 3.0], [1.0, 3.0]])[None, ..., None]
    assert upsampling.extra_channels((4, 4, 1), 0.0) == 1
    _, cond = beside(low, None, (4, 4, 1))
    # halfway between two centres a quarter of the way from each, flat outside
    chex.assert_trees_all_close(
        cond.image[0, :, :, 0], np.asarray([[1, 1.5, 2.5, 3]] * 4), rtol=1e-7
    )
    chex.assert_trees_all_equal(cond.cond, np.asarray([0]))


def test_noise_is_mixed_in_before_enlarging_and_its_amount_is_an_input():
    low, amount = jnp.full((3, 2, 2, 1), 0.5), jnp.array([0.0, 0.25, 1.0])
    assert upsampling.extra_channels((2, 2, 1), 0.3) == 2
    keys, cond = beside(low, amount, (2, 2, 1))
    eps = rng.draw(noises.normal(), keys, (2, 2, 1))
    for i, a in enumerate(amount):
        mixed = SCHEDULE.alpha(a) * low[i] + SCHEDULE.sigma(a) * eps[i]
        chex.assert_trees_all_close(cond.image[i, ..., :1], mixed, atol=1e-6, rtol=1e-7)
        chex.assert_trees_all_equal(cond.image[i, ..., 1], np.full((2, 2), a))


def test_each_is_noised_by_its_own_key():
    low, amount = jnp.zeros((4, 2, 2, 1)), jnp.full(4, 0.5)
    keys, together = beside(low, amount, (4, 4, 1))
    alone = upsampling.beside(
        keys[2:3],
        low[2:3],
        None,
        shape=(4, 4, 1),
        schedule=SCHEDULE,
        noise=noises.normal(),
        amount=amount[2:3],
    )
    chex.assert_trees_all_close(together.image[2:3], alone.image, atol=1e-6, rtol=1e-7)


def test_the_network_sees_the_image_after_x_t():
    def apply(variables, x, time, labels):
        return x + 100 * labels.reshape(-1, 1, 1, 1)

    cond = Beside(jnp.array([7]), jnp.full((1, 2, 2, 2), 5.0))
    c = coeffs(SCHEDULE, jnp.array([0.5]))
    x_t = jnp.zeros((1, 2, 2, 1))
    seen = inputs.show(apply, inputs.time(), None, {}, x_t, c, cond)
    chex.assert_trees_all_equal(seen[0, 0, 0], np.asarray([700, 705, 705]))


@pytest.mark.parametrize("scale, expected", [(0.0, 90.0), (1.0, 30.0), (2.0, -30.0)])
def test_guidance_drops_the_label_and_keeps_the_image(scale, expected):
    """x0 = label times image: 3 x 10 with its label, 9 x 10 without."""

    def denoise(x_t, t, cond):
        label = cond.cond.reshape(-1, 1, 1, 1).astype(x_t.dtype)
        return Denoised(label * cond.image)

    cond = Beside(jnp.array([3]), jnp.full((1, 1, 1, 1), 10.0))
    null = Beside(9, None)
    guided = guidance.cfg(denoise, null, scale)
    x0 = guided(jnp.zeros((1, 1, 1, 1)), jnp.ones(()), cond).x0
    chex.assert_trees_all_close(x0, expected, rtol=1e-7)
    if scale == 0:
        alone = guidance.unconditional(denoise, null)
        x0 = alone(jnp.zeros((1, 1, 1, 1)), jnp.ones(()), cond).x0
        chex.assert_trees_all_close(x0, expected, rtol=1e-7)


def test_one_amount_of_noise_is_that_of_each():
    low = jax.random.normal(jax.random.key(1), (3, 2, 2, 1))
    _, one = beside(low, jnp.asarray(0.25), (4, 4, 1))
    _, each = beside(low, jnp.full(3, 0.25), (4, 4, 1))
    chex.assert_trees_all_close(one.image, each.image, atol=1e-6, rtol=1e-7)


def test_any_condition_stands_beside_the_image():
    cond = {"vector": jnp.ones((2, 3)), "none": None}
    low = jnp.zeros((2, 2, 2, 1))
    got = upsampling.beside(
        jax.random.split(jax.random.key(0), 2),
        low,
        cond,
        shape=(4, 4, 1),
        schedule=SCHEDULE,
        noise=noises.normal(),
        amount=None,
    )
    assert got.cond is cond
