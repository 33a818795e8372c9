"""The residual U-Net against loops over pixels, and its size counted layer by layer."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import residual_unet
from jaxdiff.models.embeddings import waves


def init(net, shape):
    x, v = jnp.zeros((1, *shape)), jnp.zeros(1)
    return jax.jit(net.init)(jax.random.key(0), x, v)


def count(net, shape):
    return sum(
        a.size for a in jax.tree.leaves(jax.eval_shape(lambda: init(net, shape)))
    )


# (inputs, outputs) of every residual block of the article's network, on paper: the
# first reads 32 channels of the image and 32 of the variance, those on the way up the
# map from below or the block before, and one of the two maps remembered at their level.
BLOCKS = [
    *((64, 32), (32, 32)),
    *((32, 64), (64, 64)),
    *((64, 96), (96, 96)),
    *((96, 128), (128, 128)),
    *((128 + 96, 96), (96 + 96, 96)),
    *((96 + 64, 64), (64 + 64, 64)),
    *((64 + 32, 32), (32 + 32, 32)),
]


def test_the_articles_network_counted_layer_by_layer():
    total = 3 * 32 + 32  # the 1x1 convolution of the image
    for i, o in BLOCKS:
        total += (9 * i * o + o) + (9 * o * o + o)  # two 3x3 convolutions
        total += i * o + o if i != o else 0  # the skip
    total += 32 * 3 + 3  # the last 1x1
    assert total == 1_950_627  # added up on paper too
    net = residual_unet.make(shape=(64, 64, 3))
    assert count(net, (64, 64, 3)) == total


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        # twice the outputs: another 3 columns of 32 weights and their biases
        ({"learned_variance": True}, 32 * 3 + 3),
        ({"extra_channels": 4}, 4 * 32),
        ({"dtype": "bfloat16"}, 0),
    ],
)
def test_fields_cost_what_they_add(fields, extra):
    net = residual_unet.make(shape=(16, 16, 3), **fields)
    shape = (16, 16, net.in_channels)
    assert count(net, shape) == 1_950_627 + extra
    tree = jax.eval_shape(lambda: init(net, shape))
    assert {a.dtype for a in jax.tree.leaves(tree)} == {jnp.dtype("float32")}


def test_waves_by_hand():
    # six numbers: frequencies 1, sqrt(1000), 1000
    angle = 2 * np.pi * 0.3 * np.array([1.0, 1000**0.5, 1000.0])
    got = waves(jnp.array([0.3]), 6)[0]
    # float32 holds 600 pi only to 1e-4, and the frequency to a few times its 1e-7
    chex.assert_trees_all_close(
        got, np.asarray([*np.sin(angle), *np.cos(angle)]), atol=1e-3, rtol=1e-7
    )


def test_bilinear_doubling_by_hand():
    x = jnp.array([0.0, 4.0, 8.0])[None, None, :, None]
    got = residual_unet.double_linear(x)[0, :, :, 0]
    chex.assert_trees_all_close(
        got, np.asarray([[0, 1, 3, 5, 7, 8]] * 2), atol=1e-6, rtol=1e-7
    )


def randomized(variables, seed=0):
    """Every parameter drawn anew, so that zeros hide nothing."""
    leaves, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(seed)
    new = [jnp.asarray(rng.normal(0, 0.3, a.shape), jnp.float32) for a in leaves]
    return jax.tree.unflatten(tree, new)


def convolve(p, x):
    """3x3, one pixel at a time; x f64[h, w, c]."""
    h, w, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = [
        np.tensordot(padded[i : i + 3, j : j + 3], p["kernel"], 3)
        for i in range(h)
        for j in range(w)
    ]
    return np.reshape(y, (h, w, -1)) + p["bias"]


def block(p, x):
    h, w, c = x.shape
    groups = x.reshape(h, w, 2, c // 2)  # of 8 to 11 channels: two groups
    mean = groups.mean((0, 1, 3), keepdims=True)
    var = groups.var((0, 1, 3), keepdims=True)
    y = ((groups - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)
    y = convolve(p["conv_in"], y)
    y = convolve(p["conv_out"], y / (1 + np.exp(-y)))
    return y + (x @ p["skip"]["kernel"] + p["skip"]["bias"] if "skip" in p else x)


def test_forward_equals_a_loop_over_pixels(monkeypatch):
    monkeypatch.setattr(residual_unet, "WAVES", 4)
    net = residual_unet.make(
        shape=(4, 8, 1), channels=4, multipliers=(1, 1), num_blocks=1
    )
    variables = randomized(jax.eval_shape(lambda: init(net, (4, 8, 1))))
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
    x = np.random.default_rng(1).normal(size=(4, 8, 1))
    angle = 2 * np.pi * 0.4 * np.array([1.0, 1000.0])
    e = np.tile([*np.sin(angle), *np.cos(angle)], (4, 8, 1))
    h = np.concatenate([x @ p["in"]["kernel"] + p["in"]["bias"], e], -1)
    skip = block(p["down_0_0"], h)  # 8 channels in two groups
    small = (skip[::2, ::2] + skip[1::2, ::2] + skip[::2, 1::2] + skip[1::2, 1::2]) / 4
    small = middle(p["middle_0"], small)
    up = np.asarray(residual_unet.double_linear(jnp.asarray(small[None])))[0]
    h = block(p["up_0_0"], np.concatenate([up, skip], -1))
    want = h @ p["out"]["kernel"] + p["out"]["bias"]
    x_t, v = jnp.asarray(x[None], jnp.float32), jnp.array([0.4])
    got = jax.jit(net.apply)(variables, x_t, v)
    chex.assert_trees_all_close(got[0], want, rtol=1e-3, atol=1e-3)


def middle(p, x):
    """Four channels make one group."""
    y = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    y = convolve(p["conv_in"], y)
    return convolve(p["conv_out"], y / (1 + np.exp(-y))) + x


@pytest.fixture(scope="module")
def small():
    """A network of 8 x 8 images, applied as one program."""
    net = residual_unet.make(shape=(8, 8, 1), channels=8, multipliers=(1, 2))
    return net, jax.jit(net.apply)


def test_it_starts_at_zero_and_hears_the_variance(small):
    net, apply = small
    variables = init(net, (8, 8, 1))
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    chex.assert_trees_all_equal(apply(variables, x, jnp.ones(3)), 0 * x)
    variables = randomized(variables)
    a, b = (apply(variables, x, jnp.full(3, v)) for v in (0.1, 0.2))
    assert float(jnp.abs(a - b).max()) > 0.1


def test_an_images_output_is_its_own(small):
    net, apply = small
    variables = randomized(jax.eval_shape(lambda: init(net, (8, 8, 1))))
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    v = jnp.array([0.1, 0.5, 0.9])
    whole = apply(variables, x, v)
    alone = apply(variables, x[1:2], v[1:2])
    chex.assert_trees_all_close(whole[1:2], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shape": (28, 28, 1)}, r"multiples of 8, got shape=\(28, 28, 1\)"),
        ({"shape": (8,)}, "halve images"),
        ({"num_classes": 10}, "reads no labels, got num_classes=10"),
        ({"num_blocks": 0}, "num_blocks=0"),
        ({"multipliers": (1, 0)}, "whole numbers of channels"),
        ({"dtype": "float16"}, "float32, bfloat16"),
    ],
)
def test_refuses(fields, words):
    with pytest.raises(ValueError, match=words):
        residual_unet.make(**{"shape": (16, 16, 3), **fields})


def test_a_stranger_number_of_channels_is_refused():
    net = residual_unet.make(shape=(16, 16, 3), channels=8, multipliers=(1,))
    with pytest.raises(ValueError, match="reads 3 channels"):
        init(net, (16, 16, 4))
