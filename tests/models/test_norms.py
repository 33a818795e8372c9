"""Group norm and its gradient against float64, also far from zero."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import norms, sums


def in_float64(x, offset, scale, bias, g):
    """swish(norm(x + offset) scale + bias), and its gradient by hand, by numpy."""
    x = x + offset[:, None, None]
    b, h, w, c = x.shape
    n = norms.Norm().count(c)

    def mean(a):
        m = a.reshape(b, h * w, n, c // n).mean((1, 3), keepdims=True)
        return np.broadcast_to(m, (b, h * w, n, c // n)).reshape(a.shape)

    inv = 1 / np.sqrt(mean((x - mean(x)) ** 2) + 1e-5)
    unit = (x - mean(x)) * inv
    y = unit * scale + bias
    s = 1 / (1 + np.exp(-y))
    dy = g * s * (1 + y * (1 - s))
    du = dy * scale
    dx = inv * (du - mean(du) - unit * mean(du * unit))
    return y * s, dx, dx.sum((1, 2)), (dy * unit).sum((0, 1, 2)), dy.sum((0, 1, 2))


def ours(x, offset, scale, bias, train=True):
    p = {"params": {"scale": scale, "bias": bias}}
    norm = norms.GroupNorm(x.dtype, swish=True)
    return norm.apply(p, x, offset=offset, train=train)


def inputs(middle):
    rng = np.random.default_rng(0)
    x = middle + rng.normal(size=(2, 4, 8, 16))
    offset, scale, bias = rng.normal(size=(2, 16)), 1 + 0.1 * rng.normal(size=16), None
    bias = rng.normal(size=16)
    return [np.float64(np.float32(a)) for a in (x, offset, scale, bias)]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("kernel", [None, False, True])
@pytest.mark.parametrize(("middle", "error"), [(0.0, 1e-6), (100.0, 2e-5)])
def test_value_and_gradient_equal_float64(monkeypatch, middle, error, kernel, train):
    """By norms; a float32 at 100 is itself known to 4e-6 of the deviation 1."""
    monkeypatch.setattr(norms, "on_gpu", lambda: kernel is not None)
    if kernel:
        run = partial(sums._kernel, interpret=True)
        two = lambda term, images, vectors: run(term, len(images), *images, *vectors)  # noqa: E731
        monkeypatch.setattr(norms, "two_sums", two)
    args = inputs(middle)
    g = np.random.default_rng(1).normal(size=args[0].shape)
    want = in_float64(*args, np.float64(np.float32(g)))
    y, pull = jax.vjp(
        partial(ours, train=train), *(jnp.asarray(a, jnp.float32) for a in args)
    )
    for got, exact in zip((y, *pull(jnp.asarray(g, jnp.float32))), want, strict=True):
        assert np.linalg.norm(got - exact) < error * np.linalg.norm(exact)


@pytest.mark.parametrize("gpu", [False, True])
def test_bfloat16_far_from_zero_has_the_statistics_of_float64(monkeypatch, gpu):
    """Values at 100 are half a unit apart; the statistics are those of the values."""
    monkeypatch.setattr(norms, "on_gpu", lambda: gpu)
    args = inputs(100.0)
    x = jnp.asarray(args[0], jnp.bfloat16)
    args[0] = np.asarray(x, np.float64)
    want, *_ = in_float64(*args, np.zeros_like(args[0]))
    got = ours(x, *(jnp.asarray(a, jnp.float32) for a in args[1:]))
    assert got.dtype == jnp.bfloat16
    error = np.linalg.norm(np.asarray(got, np.float64) - want) / np.linalg.norm(want)
    assert error < 2**-9  # one rounding of the result


@pytest.mark.parametrize("gpu", [False, True])
def test_forward_mode_equals_a_difference_quotient(monkeypatch, gpu):
    monkeypatch.setattr(norms, "on_gpu", lambda: gpu)
    args = [jnp.asarray(a, jnp.float32) for a in inputs(1.0)]
    direction = jnp.asarray(np.random.default_rng(2).normal(size=args[0].shape), "f4")
    f = lambda x: ours(x, *args[1:], train=False)  # noqa: E731
    _, slope = jax.jvp(f, (args[0],), (direction,))
    step = 1e-2
    quotient = (
        (f(args[0] + step * direction) - f(args[0] - step * direction)) / 2 / step
    )
    chex.assert_trees_all_close(slope, quotient, rtol=1e-2, atol=2e-3)
