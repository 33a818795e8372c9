"""Each piece against plain numpy, or against values small enough to work out."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import attention, blocks, norms, resampling


def normal(seed, *shape):
    """Normal numbers by numpy, which has nothing to compile."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def parameters(module, *inputs):
    """Parameters for `module`, none of which is zero."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(7)
    return jax.tree.map(
        lambda a: jnp.asarray(0.4 * rng.normal(size=a.shape), a.dtype), shapes
    )


def test_halve_by_hand():
    x = jnp.array([[1.0, 3.0, 0.0, 8.0], [5.0, 7.0, 4.0, 4.0]])[None, :, :, None]
    chex.assert_trees_all_equal(
        resampling.halve(x)[0, :, :, 0], np.asarray([[4.0, 4.0]])
    )


def test_double_by_hand():
    x = jnp.array([[1.0, 2.0]])[None, :, :, None]
    want = np.array([[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]])
    chex.assert_trees_all_equal(resampling.double(x)[0, :, :, 0], want)


def test_dropout_keeps_what_a_flax_dropout_of_that_name_keeps():
    """So a run from before this class resumes with the same draws."""

    class Both(nn.Module):
        module: type[nn.Module]

        @nn.compact
        def __call__(self, x):
            drop = self.module(0.5, name="Dropout_0")
            if self.module is blocks.Keep:
                return drop(x.shape)
            return drop(x, deterministic=False) > 0

    x, rngs = jnp.ones((2, 4, 4, 8)), {"dropout": jax.random.key(3)}
    ours, theirs = (Both(m).apply({}, x, rngs=rngs) for m in (blocks.Keep, nn.Dropout))
    assert 0.3 < ours.mean() < 0.7
    chex.assert_trees_all_equal(ours, theirs)


def spread(row):
    """Its values at even places, and zeros between them."""
    return np.stack([row, np.zeros_like(row)], axis=-1).ravel()


@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1), (1, 5, 10, 10, 5, 1)])
def test_a_filter_is_a_convolution_before_or_after_every_second_pixel(taps):
    """Of images u v', where it is one of u and one of v."""
    half, f = len(taps) // 2, np.array(taps) / sum(taps)
    gen = np.random.default_rng(0)
    u, v = gen.normal(size=8), gen.normal(size=6)
    x = jnp.asarray(np.outer(u, v)[None, :, :, None], jnp.float32)
    down = [np.convolve(a, f)[half::2][: len(a) // 2] for a in (u, v)]
    up = [2 * np.convolve(spread(a), f)[half - 1 :][: 2 * len(a)] for a in (u, v)]
    for resample, (a, b) in {"down": down, "up": up}.items():
        expected = np.outer(a, b)[None, :, :, None].astype(np.float32)
        for result in (
            resampling.filtered(x, taps, resample),
            resampling.resampled(x, resample, taps),
        ):
            chex.assert_trees_all_close(result, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(128, 32), (192, 32), (1344, 32), (2048, 32), (64, 16), (48, 12), (3, 1), (13, 1)],
)
def test_num_groups_divide_and_are_32_for_published_widths(channels, groups):
    assert norms.Norm().count(channels) == groups


def test_group_norm_equals_numpy():
    x = 3.0 + 2.0 * normal(0, 2, 3, 5, 16)  # four groups of four channels
    gain, shift = normal(1, 2, 16), normal(2, 2, 16)
    norm = norms.GroupNorm()
    variables = parameters(norm, x)
    p = {k: np.asarray(v) for k, v in variables["params"].items()}
    groups = np.asarray(x).reshape(2, 15, 4, 4)
    mean = groups.mean((1, 3), keepdims=True)
    unit = (groups - mean) / np.sqrt(groups.var((1, 3), keepdims=True) + 1e-5)
    y = unit.reshape(x.shape) * p["scale"] + p["bias"]
    want = y * (1 + np.asarray(gain))[:, None, None] + np.asarray(shift)[:, None, None]
    chex.assert_trees_all_close(norm.apply(variables, x), y, rtol=1e-4, atol=1e-5)
    got = norm.apply(variables, x, gain, shift)
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)


def test_groups_and_epsilon_of_a_norm_in_closed_form():
    """In each of two groups half the values are m + a and half m - a."""
    signs = jnp.tile(jnp.array([1.0, -1.0]), 4)  # of 8 channels
    size = jnp.repeat(jnp.array([0.01, 3.0]), 4)
    x = jnp.broadcast_to((signs * size + 5.0)[None, None, None], (1, 2, 2, 8))
    variables = {"params": {"scale": jnp.ones(8), "bias": jnp.zeros(8)}}
    for eps in (1e-6, 1e-4):
        norm = norms.Norm(groups=2, eps=eps)
        expected = signs * size / np.sqrt(np.asarray(size) ** 2 + eps)
        for y in (
            norms.GroupNorm(norm=norm).apply(variables, x),
            norms.normalize(x, norm),
        ):
            want = np.broadcast_to(expected, x.shape)
            chex.assert_trees_all_close(y, want, rtol=2e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((-1, 1e-5), "norm_groups=-1"),
        ((0, 0.0), "norm_eps=0.0"),
        ((0, float("nan")), "norm_eps=nan"),
    ],
)
def test_norms_that_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        norms.check_norm(*fields)
    with pytest.raises(ValueError, match=r"norm_groups=3 must divide.* one has 8; 0"):
        norms.check_norm(3, 1e-5).count(8)


def test_group_norm_survives_a_mean_far_from_zero():
    x = 1000.0 + normal(0, 1, 8, 8, 8)
    y = norms.GroupNorm().apply(
        {"params": {"scale": jnp.ones(8), "bias": 0 * x[0, 0, 0]}}, x
    )
    chex.assert_trees_all_close(y.reshape(64, 2, 4).std((0, 2)), 1.0, rtol=1e-3)


def test_group_norm_of_bfloat16_is_computed_in_float32():
    x = (100.0 + normal(0, 1, 8, 8, 8)).astype(jnp.bfloat16)
    variables = {"params": {"scale": jnp.ones(8), "bias": jnp.zeros(8)}}
    fine = norms.GroupNorm().apply(variables, x.astype(jnp.float32))
    rough = norms.GroupNorm(jnp.bfloat16).apply(variables, x)
    assert rough.dtype == jnp.bfloat16
    chex.assert_trees_all_equal(rough, fine.astype(jnp.bfloat16))


def test_attend_equals_numpy():
    q, k, v = (np.asarray(normal(i, 2, 5, 3, 4)) for i in range(3))
    want = np.zeros_like(q)
    for b in range(2):
        for head in range(3):
            logits = q[b, :, head] @ k[b, :, head].T / np.sqrt(4)
            weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            want[b, :, head] = weights @ v[b, :, head]
    got = attention.attend(jnp.array(q), jnp.array(k), jnp.array(v))
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)


def test_attention_to_one_pixel_is_its_value():
    # A single pixel can attend only to itself: the output is x + W_0 (W_v norm(x)).
    x = normal(0, 2, 1, 1, 8)
    block = blocks.Attention(heads=2)
    variables = parameters(block, x)
    p = variables["params"]
    y = norms.GroupNorm().apply({"params": p["norm"]}, x)
    v = y @ p["qkv"]["kernel"][:, 16:] + p["qkv"]["bias"][16:].reshape(1, 1, 1, 8)
    want = x + v @ p["out"]["kernel"] + p["out"]["bias"].reshape(1, 1, 1, 8)
    chex.assert_trees_all_close(block.apply(variables, x), want, rtol=1e-4, atol=1e-5)


def test_attention_commutes_with_a_permutation_of_pixels():
    x = normal(0, 2, 2, 3, 8)
    block = blocks.Attention(heads=4)
    variables = parameters(block, x)
    order = np.array([4, 0, 5, 2, 1, 3])

    def shuffle(a):
        return a.reshape(2, 6, 8)[:, order].reshape(a.shape)

    got, want = block.apply(variables, shuffle(x)), shuffle(block.apply(variables, x))
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)
    assert np.abs(want - shuffle(x)).max() > 0.1


@pytest.mark.parametrize("embedding", ["add", "scale_shift"])
@pytest.mark.parametrize("resample", ["", "down", "up"])
def test_residual_block_starts_as_its_resampling(embedding, resample):
    x, emb = normal(0, 2, 4, 6, 8), normal(1, 2, 12)
    block = blocks.ResBlock(8, embedding, resample)
    got = block.apply(block.init(jax.random.key(0), x, emb), x, emb)
    chex.assert_trees_all_equal(got, resampling.resampled(x, resample))


@pytest.mark.parametrize("embedding", ["add", "scale_shift"])
def test_residual_block_by_its_formula(embedding):
    x, emb = normal(0, 2, 4, 4, 8), normal(1, 2, 12)
    block = blocks.ResBlock(16, embedding)
    variables = parameters(block, x, emb)
    p = variables["params"]

    def conv(name, a):
        kernel, bias = p[name]["kernel"], p[name]["bias"]
        numbers = ("NHWC", "HWIO", "NHWC")
        a = jax.lax.conv_general_dilated(
            a, kernel, (1, 1), "SAME", dimension_numbers=numbers
        )
        return a + bias.reshape(1, 1, 1, -1)

    def norm(name, a):
        return norms.GroupNorm().apply({"params": p[name]}, a)

    h = conv("conv_in", jax.nn.silu(norm("norm_in", x)))
    e = jax.nn.silu(emb) @ p["emb"]["kernel"] + p["emb"]["bias"][None]
    e = e[:, None, None, :]
    if embedding == "add":
        h = norm("norm_out", h + e)
    else:
        h = norm("norm_out", h) * (1 + e[..., :16]) + e[..., 16:]
    skip = x @ p["skip"]["kernel"] + p["skip"]["bias"].reshape(1, 1, 1, -1)
    want = skip + conv("conv_out", jax.nn.silu(h))
    got = block.apply(variables, x, emb)
    chex.assert_trees_all_close(got, want, rtol=1e-3, atol=1e-4)


def test_strided_convolution_sees_one_pixel_beyond_every_side():
    # A kernel of ones sums 3x3 windows centred on pixels 0, 2: corners hold 2x2 pixels.
    x = jnp.ones((1, 4, 4, 1))
    kernel, bias = jnp.ones((3, 3, 1, 1)), jnp.zeros(1)
    variables = {"params": {"conv": {"kernel": kernel, "bias": bias}}}
    got = resampling.Downsample(learned=True).apply(variables, x)
    chex.assert_trees_all_close(
        got[0, :, :, 0], np.asarray([[4.0, 6.0], [6.0, 9.0]]), rtol=1e-7
    )


@pytest.mark.parametrize(("padding", "before"), [("all", 1), ("far", 0)])
def test_a_strided_convolution_equals_numpy(padding, before):
    x, kernel = normal(0, 2, 6, 4, 2), normal(1, 3, 3, 2, 2)
    variables = {"params": {"conv": {"kernel": kernel, "bias": jnp.zeros(2)}}}
    got = resampling.Downsample(True, padding=padding).apply(variables, x)
    pad = ((0, 0), (before, 1), (before, 1), (0, 0))
    wide = np.pad(np.asarray(x), pad)
    want = np.zeros((2, 3, 2, 2), np.float32)
    for i in range(3):
        for j in range(2):
            window = wide[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            want[:, i, j] = np.einsum("bhwc,hwcf->bf", window, kernel)
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-5)
