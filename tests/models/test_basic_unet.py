"""The blind U-Net against a loop over its pixels, and where its weights start."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import basic_unet


@pytest.fixture(scope="module")
def started():
    net = basic_unet.make(shape=(28, 28, 1), num_classes=10)
    x = jnp.zeros((1, 28, 28, 1))
    return net, net.init(jax.random.key(0, impl="unsafe_rbg"), x, jnp.zeros(1))


def test_published_parameter_count(started):
    assert sum(a.size for a in jax.tree.leaves(started[1])) == 309_057


def test_forward_equals_a_loop_over_pixels(started):
    net, variables = started
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])

    def layer(name, x):
        h, w, _ = x.shape
        padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
        y = np.stack(
            [
                np.tensordot(padded[i : i + 5, j : j + 5], p[name]["kernel"], 3)
                for i in range(h)
                for j in range(w)
            ]
        ).reshape(h, w, -1)
        y = y + p[name]["bias"]
        return y / (1 + np.exp(-y))

    def pool(x):
        return np.max([x[i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)

    def up(x):
        return x.repeat(2, axis=0).repeat(2, axis=1)

    x = np.random.default_rng(0).normal(size=(1, 8, 4, 1))
    a = layer("down_0", x[0])
    b = layer("down_1", pool(a))
    y = layer("up_0", layer("down_2", pool(b)))
    want = layer("up_2", up(layer("up_1", up(y) + b)) + a)
    got = net.apply(variables, jnp.asarray(x, jnp.float32), jnp.zeros(1))
    chex.assert_trees_all_close(got[0], want, rtol=1e-3, atol=1e-5)


def test_t_and_label_are_ignored(started):
    net, variables = started
    x = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    one = net.apply(variables, x, jnp.zeros(2))
    other = net.apply(variables, x, jnp.array([5.0, 9.0]), jnp.array([1, 2]))
    chex.assert_trees_all_equal(one, other)


@pytest.mark.parametrize(
    ("name", "inputs"), [("down_0", 1), ("down_1", 32), ("up_0", 64), ("up_2", 32)]
)
def test_weights_and_biases_start_uniform_in_one_over_root_fan_in(
    started, name, inputs
):
    bound = 1 / math.sqrt(25 * inputs)
    kernel, bias = (
        np.asarray(started[1]["params"][name][k]) for k in ("kernel", "bias")
    )
    assert np.abs(bias).max() <= bound
    assert 0.97 * bound < np.abs(kernel).max() <= bound
    # Variance of a uniform number in +-bound: bound^2 / 3.
    chex.assert_trees_all_close(kernel.std(), bound / math.sqrt(3), rtol=0.1)


def test_a_size_that_cannot_be_halved_twice_is_an_error():
    with pytest.raises(ValueError, match="multiples of 4, got shape=\\(30, 28, 1\\)"):
        basic_unet.make(shape=(30, 28, 1))
