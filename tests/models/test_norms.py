"""Group norm and its gradient against float64, also far from zero."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import norm_kernel, norms

SHARE = 0.75


@pytest.fixture(params=["plain", "kernels"])
def route(request, monkeypatch):
    """By XLA alone, and as on a GPU, by the kernels, interpreted."""
    if request.param == "kernels":
        monkeypatch.setattr(norms, "on_gpu", lambda: True)
        for name in ("forward", "backward"):
            kernel = partial(getattr(norm_kernel, name), interpret=True)
            monkeypatch.setattr(norm_kernel, name, kernel)
        on_cuda = lambda *args, cuda, default: cuda(*args)  # noqa: E731
        monkeypatch.setattr(jax.lax, "platform_dependent", on_cuda)
    return request.param


def in_float64(x, offset, scale, bias, g, keep=None):
    """Of swish(norm(x + offset) scale + bias) and dropout, and its gradient, in numpy.

    scale and bias are (1 or b, c).
    """
    x = x + offset[:, None, None]
    b, h, w, c = x.shape
    n = norms.Norm().count(c)

    def mean(a):
        m = a.reshape(b, h * w, n, c // n).mean((1, 3), keepdims=True)
        return np.broadcast_to(m, (b, h * w, n, c // n)).reshape(a.shape)

    def rows(a):
        return a.sum((1, 2)) if len(scale) == b else a.sum((0, 1, 2))[None]

    inv = 1 / np.sqrt(mean((x - mean(x)) ** 2) + 1e-5)
    unit = (x - mean(x)) * inv
    y = unit * scale[:, None, None] + bias[:, None, None]
    s = 1 / (1 + np.exp(-y))
    kept = 1 if keep is None else keep / SHARE
    dy = g * kept * s * (1 + y * (1 - s))
    du = dy * scale[:, None, None]
    dx = inv * (du - mean(du) - unit * mean(du * unit))
    return y * s * kept, dx, dx.sum((1, 2)), rows(dy * unit), rows(dy)


def ours(x, offset, scale, bias, keep=None, train=True):
    form = norm_kernel.Form(norms.Norm().count(x.shape[-1]), 1e-5, True, x.dtype, SHARE)
    return norms.group_norm(form, x, offset, scale, bias, keep, train=train)


def inputs(middle, shape=(2, 4, 8, 16), rows=1):
    rng, c = np.random.default_rng(0), shape[-1]
    x = middle + rng.normal(size=shape)
    offset = rng.normal(size=(shape[0], c))
    scale, bias = 1 + 0.1 * rng.normal(size=(rows, c)), rng.normal(size=(rows, c))
    return [np.float64(np.float32(a)) for a in (x, offset, scale, bias)]


# pixels of one and of several programs, channels of two; sides that are no power of 2
SHAPES = [(2, 4, 8, 16), (1, 32, 16, 16), (2, 12, 4, 48), (1, 4, 4, 256)]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(("middle", "error"), [(0.0, 1e-6), (100.0, 2e-5)])
def test_value_and_gradient_equal_float64(route, shape, middle, error, dropout, train):
    """A float32 at 100 is itself known to 4e-6 of the deviation 1."""
    args = inputs(middle, shape, rows=shape[0] if dropout else 1)
    rng = np.random.default_rng(1)
    g, keep = rng.normal(size=shape), rng.random(shape) < SHARE
    keep = keep if dropout else None
    want = in_float64(*args, np.float64(np.float32(g)), keep)
    run = partial(ours, keep=None if keep is None else jnp.asarray(keep), train=train)
    y, pull = jax.vjp(run, *(jnp.asarray(a, jnp.float32) for a in args))
    for got, exact in zip((y, *pull(jnp.asarray(g, jnp.float32))), want, strict=True):
        assert np.linalg.norm(got - exact) < error * np.linalg.norm(exact)


def test_the_layer_folds_all_its_maps_into_one(route):
    """(norm(x) scale + bias) (1 + gain) + shift, before swish."""
    x, offset, *_ = inputs(1.0)
    rng = np.random.default_rng(3)
    scale, bias = rng.normal(size=(2, 1, 16))
    gain, shift = rng.normal(size=(2, 2, 16))
    mul, add = scale * (1 + gain), bias * (1 + gain) + shift
    want, *_ = in_float64(x, offset, mul, add, 0 * x)
    params = {"params": {"scale": jnp.asarray(scale[0]), "bias": jnp.asarray(bias[0])}}
    norm = norms.GroupNorm(swish=True)
    args = (jnp.asarray(a, jnp.float32) for a in (x, gain, shift, offset))
    got = norm.apply(params, *args)
    chex.assert_trees_all_close(got, np.float32(want), rtol=1e-4, atol=1e-5)


def test_it_is_float32_under_x64_too(route):
    layer = norms.GroupNorm(swish=True)
    args = [jnp.asarray(a, jnp.float32) for a in inputs(0.0)]
    params = {"params": {"scale": args[2][0], "bias": args[3][0]}}

    def f(x):
        return layer.apply(params, x, train=True) + norms.normalize(x, norms.Norm())

    with jax.enable_x64(True):
        assert "f64" not in str(jax.make_jaxpr(jax.grad(lambda x: f(x).sum()))(args[0]))


def test_bfloat16_far_from_zero_has_the_statistics_of_float64(route):
    """Values at 100 are half a unit apart; the statistics are those of the values."""
    args = inputs(100.0)
    x = jnp.asarray(args[0], jnp.bfloat16)
    args[0] = np.asarray(x, np.float64)
    want, *_ = in_float64(*args, np.zeros_like(args[0]))
    got = ours(x, *(jnp.asarray(a, jnp.float32) for a in args[1:]))
    assert got.dtype == jnp.bfloat16
    error = np.linalg.norm(np.asarray(got, np.float64) - want) / np.linalg.norm(want)
    assert error < 2**-9  # one rounding of the result


def test_forward_mode_equals_a_difference_quotient(route):
    args = [jnp.asarray(a, jnp.float32) for a in inputs(1.0)]
    direction = jnp.asarray(np.random.default_rng(2).normal(size=args[0].shape), "f4")
    f = lambda x: ours(x, *args[1:], train=False)  # noqa: E731
    _, slope = jax.jvp(f, (args[0],), (direction,))
    step = 1e-2
    quotient = (
        (f(args[0] + step * direction) - f(args[0] - step * direction)) / 2 / step
    )
    chex.assert_trees_all_close(slope, quotient, rtol=1e-2, atol=2e-3)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_one_program_lowers_for_every_platform(monkeypatch, dtype):
    """The machine's GPU does not decide, the platform that is named does."""
    monkeypatch.setattr(norms, "on_gpu", lambda: True)
    args = [jnp.asarray(a, dtype) for a in inputs(0.0)]
    step = jax.jit(jax.grad(lambda *args: ours(*args).astype("f4").sum()))
    target = "__gpu$xla.gpu.triton"
    unchecked = [jax.export.DisabledSafetyCheck.custom_call(target)]
    gpu = jax.sharding.AbstractDevice("NVIDIA H100 80GB HBM3", 132, "cuda")
    with jax.sharding.use_abstract_mesh(
        jax.sharding.AbstractMesh((1,), ("x",), abstract_device=gpu)
    ):
        export = partial(jax.export.export, step, disabled_checks=unchecked)
        for platform in ("cpu", "tpu", "cuda"):
            text = export(platforms=(platform,))(*args).mlir_module()
            # sums and rows, forward and backward
            assert text.count(target) == (4 if platform == "cuda" else 0)


def test_without_the_kernels_compiler_there_are_none(monkeypatch):
    assert norm_kernel.fits((1, 8, 8, 16), 4)
    monkeypatch.setattr(norm_kernel, "triton", None)
    assert not norm_kernel.fits((1, 8, 8, 16), 4)


@pytest.mark.parametrize("shape", [(1, 7, 7, 16), (1, 8, 8, 12), (1, 4, 4, 8192)])
def test_shapes_that_no_program_takes_need_no_kernel(monkeypatch, shape):
    monkeypatch.setattr(norms, "on_gpu", lambda: True)
    monkeypatch.setattr(norm_kernel, "forward", None)
    args = inputs(0.0, shape)
    want, *_ = in_float64(*args, np.zeros_like(args[0]))
    got = ours(*(jnp.asarray(a, jnp.float32) for a in args))
    chex.assert_trees_all_close(got, np.float32(want), rtol=1e-4, atol=1e-4)


def test_a_thousand_ones_are_summed_in_float32():
    """And one 1/128, which bfloat16 would lose beside the sum."""
    x = jnp.ones((1, 32, 32, 16), jnp.bfloat16).at[0, 5, 5].set(1 + 1 / 128)
    sums = norm_kernel._sums(lambda x: (x, x), [x], [], interpret=True)
    total = sums[0].sum(1)
    chex.assert_trees_all_equal(total, np.full((1, 16), 1024 + 1 / 128, "f4"))
