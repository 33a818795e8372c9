"""Values of the embedding worked out by hand, and what a label does."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models.embeddings import Conditioning, fourier


def test_sine_first_over_half_less_one():
    # dim 6: frequencies 1, 1/100, 1/10000.
    want = [
        *(math.sin(3.0), math.sin(0.03), math.sin(0.0003)),
        *(math.cos(3.0), math.cos(0.03), math.cos(0.0003)),
    ]
    got = fourier(jnp.array([3.0]), 6)[0]
    chex.assert_trees_all_close(got, np.array(want), rtol=1e-5)


def test_cosine_first_over_half():
    # dim 4: frequencies 1, 1/100.
    want = [math.cos(500.0), math.cos(5.0), math.sin(500.0), math.sin(5.0)]
    got = fourier(jnp.array([500.0]), 4, "cos_sin")[0]
    chex.assert_trees_all_close(got, np.array(want), rtol=1e-4)


@pytest.mark.parametrize("style", ["sin_cos", "cos_sin"])
def test_all_published_timesteps_differ(style):
    rows = np.asarray(fourier(jnp.arange(1000.0), 128, style))
    gaps = np.linalg.norm(rows[1:] - rows[:-1], axis=1)
    chex.assert_trees_all_close((rows**2).sum(1), 64.0, rtol=1e-4)
    assert gaps.min() > 0.5


@pytest.fixture(scope="module")
def labelled():
    net = Conditioning(channels=8, num_classes=3, null_class=True)
    key = jax.random.key(0, impl="unsafe_rbg")  # the one that compiles fastest
    return net, net.init(key, jnp.zeros(1), jnp.zeros(1, jnp.int32))


def test_a_label_adds_its_row(labelled):
    net, variables = labelled
    t = jnp.array([5.0, 5.0])
    two, zero = net.apply(variables, t, jnp.array([2, 0]))
    table = variables["params"]["label"]["embedding"]
    assert table.shape == (4, 32)
    chex.assert_trees_all_close(two - zero, table[2] - table[0], rtol=1e-4, atol=1e-5)


def test_no_label_is_the_row_after_the_last(labelled):
    net, variables = labelled
    t = jnp.array([1.0, 700.0])
    want = net.apply(variables, t, jnp.array([3, 3]))
    chex.assert_trees_all_equal(net.apply(variables, t), want)


def test_a_label_beyond_the_table_is_nan(labelled):
    net, variables = labelled
    got = net.apply(variables, jnp.zeros(2), jnp.array([1, 4]))
    assert np.isfinite(got[0]).all()
    assert np.isnan(got[1]).all()


def test_a_missing_label_is_an_error_without_a_null_class():
    net = Conditioning(channels=8, num_classes=3)
    with pytest.raises(ValueError, match=r"num_classes=3 needs a label.*null_class"):
        net.init(jax.random.key(0), jnp.zeros(1))


def test_without_classes_labels_are_ignored():
    net = Conditioning(channels=8)
    variables = net.init(jax.random.key(0), jnp.zeros(1))
    t = jnp.array([3.0])
    want = net.apply(variables, t)
    chex.assert_trees_all_equal(net.apply(variables, t, jnp.array([9])), want)
