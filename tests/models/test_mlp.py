"""The tabular network against its formula in float64 numpy."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import mlp

KEY = jax.random.key(0, impl="unsafe_rbg")  # the one that compiles fastest
T = jnp.array([0.02, 0.5, 1.0])
X = jax.random.normal(jax.random.key(2), (3, 7))


def numpy_forward(params, x, t):
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)

    def linear(name, a):
        return a @ p[name]["kernel"] + p[name]["bias"]

    def two_layers(name, a):
        a = linear(f"{name}_in", a)
        a = a - a.mean(1, keepdims=True)
        a = a / np.sqrt((a**2).mean(1, keepdims=True) + 1e-5)
        a = a * p[f"{name}_norm"]["scale"] + p[f"{name}_norm"]["bias"]
        return linear(f"{name}_out", a / (1 + np.exp(-a)))

    angle = np.outer(t, np.exp(-np.arange(32) * math.log(10_000) / 31))
    e = linear("time_in", np.concatenate([np.sin(angle), np.cos(angle)], axis=1))
    e = e * (1 + np.vectorize(math.erf)(e / math.sqrt(2))) / 2
    h = two_layers("input", x) + linear("time_out", e)
    for i in range(3):
        h = h + two_layers(f"block_{i}", h)
    return linear("out", h)


def test_forward_equals_its_formula():
    net = mlp.make(shape=(7,))
    variables = net.init(KEY, X, T)
    want = numpy_forward(variables["params"], np.asarray(X), np.asarray(T))
    got = net.apply(variables, X, T)
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)


def test_parameter_count_by_hand():
    # Two time layers, input 7 -> 64 -> 64, three blocks of two layers, 64 -> 7; four
    # layer norms.
    square, ends = 64 * 64 + 64, (7 * 64 + 64) + (64 * 7 + 7)
    variables = mlp.make(shape=(7,)).init(KEY, X, T)
    count = sum(a.size for a in jax.tree.leaves(variables))
    assert count == (2 + 1 + 6) * square + ends + 4 * 2 * 64


def test_a_label_adds_its_row_ahead_of_the_blocks():
    net = mlp.make(shape=(7,), num_classes=3, null_class=True, num_blocks=0)
    variables = net.init(KEY, X, T)
    p = variables["params"]
    a, b = (net.apply(variables, X, T, jnp.full(3, i)) for i in (0, 2))
    table = p["label"]["embedding"]
    want = (table[2] - table[0]) @ p["out"]["kernel"]  # all is linear after the sum
    chex.assert_trees_all_close(b - a, np.tile(want, (3, 1)), rtol=1e-4, atol=1e-5)
    none = net.apply(variables, X, T)
    last = net.apply(variables, X, T, jnp.full(3, 3))
    chex.assert_trees_all_equal(none, last)


def test_a_missing_label_is_an_error_without_a_null_class():
    net = mlp.make(shape=(7,), num_classes=3)
    with pytest.raises(ValueError, match="num_classes=3 needs a label"):
        net.init(KEY, X, T)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": (8, 8, 1)}, r"rows \(columns,\), got .*use unet"),
        ({"hidden": 63}, "even and at least 4, got hidden=63"),
        ({"num_blocks": -1}, "cannot be negative"),
        ({"null_class": True}, "null_class needs classes"),
    ],
)
def test_what_cannot_be_built_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        mlp.make(**{"shape": (7,), **fields})
