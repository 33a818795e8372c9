"""The published parameter counts, and what must hold of any U-Net of this kind."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import unet

ADM = {
    "embedding": "scale_shift",
    "resblock_updown": True,
    "learned_variance": True,
    "attention": (32, 16, 8),
    "time_embedding": "cos_sin",
}
DDPM = {"channels": 128, "attention": (16,), "embedding": "add"}
HEADS_64 = {"num_heads": 0, "head_channels": 64}
DEEP = {"channels": 256, "multipliers": (1, 1, 2, 2, 4, 4), **ADM, **HEADS_64}

# The counts of the published constructors: size, classes, fields, parameters.
PUBLISHED = {
    "ddpm_cifar10": (32, 0, {**DDPM, "multipliers": (1, 2, 2, 2)}, 35_746_307),
    "ddpm_256": (256, 0, {**DDPM, "multipliers": (1, 1, 2, 2, 4, 4)}, 113_673_219),
    "iddpm_cifar10": (
        32,
        0,
        {
            "channels": 128,
            "multipliers": (1, 2, 2, 2),
            "num_blocks": 3,
            "attention": (16, 8),
            "num_heads": 4,
            "learned_variance": True,
        },
        52_546_438,
    ),
    "adm_64": (
        64,
        1000,
        {
            "channels": 192,
            "multipliers": (1, 2, 3, 4),
            "num_blocks": 3,
            **ADM,
            **HEADS_64,
        },
        295_904_454,
    ),
    "adm_128": (
        128,
        1000,
        {"channels": 256, "multipliers": (1, 1, 2, 3, 4), "num_heads": 4, **ADM},
        421_529_606,
    ),
    "adm_256": (256, 1000, DEEP, 553_838_086),
    "adm_256_unconditional": (256, 0, DEEP, 552_814_086),
    "adm_512": (
        512,
        1000,
        {**DEEP, "multipliers": (0.5, 1, 1, 2, 2, 4, 4)},
        558_997_638,
    ),
    "adm_u_64_256": (
        256,
        1000,
        {
            "channels": 192,
            "multipliers": (1, 1, 2, 2, 4, 4),
            "num_heads": 4,
            "extra_channels": 3,
            **ADM,
        },
        311_795_910,
    ),
}


# The largest take seconds to trace, and differ from the others in their size alone;
# tests/test_configs.py counts two of them as well.
LARGE = ("adm_128", "adm_256", "adm_256_unconditional", "adm_512", "adm_u_64_256")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name
        for name in PUBLISHED
    ],
)
def test_published_parameter_counts(name):
    size, classes, fields, count = PUBLISHED[name]
    net = unet.make(shape=(size, size, 3), num_classes=classes, **fields)
    x = jnp.zeros((1, size, size, 3 + fields.get("extra_channels", 0)))
    cond = jnp.zeros(1, jnp.int32)
    params = jax.eval_shape(net.init, jax.random.key(0), x, jnp.zeros(1), cond)
    assert sum(math.prod(a.shape) for a in jax.tree.leaves(params)) == count


SMALL = {
    "shape": (8, 4, 2),
    "num_classes": 3,
    "channels": 8,
    "multipliers": [1, 2],
    "num_blocks": 1,
    "attention": [8],
    "num_heads": 2,
}
X = jax.random.normal(jax.random.key(3), (2, 8, 4, 2))
T = jnp.array([10.0, 900.0])
COND = jnp.array([0, 2])
FLAT = {"multipliers": (1,)}  # one level, where that shows as much: it compiles faster


# Compiling is all that takes time here, so the compiler optimises as little as it can.
quick = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def start(**fields):
    """A small network for 8 x 4 images, and parameters none of which is zero."""
    net = unet.make(**{**SMALL, **fields})
    shapes = jax.eval_shape(net.init, jax.random.key(0), X, T, COND)
    rng = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda a: jnp.asarray(0.2 * rng.normal(size=a.shape), a.dtype), shapes
    )
    return net, moved


@pytest.fixture(scope="module")
def small():
    net, moved = start()
    return quick(net.apply), moved


def test_output_is_zero_at_the_start(small):
    net = unet.make(**SMALL)
    # The generator that compiles fastest: which numbers it draws is of no matter.
    key = jax.random.key(0, impl="unsafe_rbg")
    initial = quick(net.init)(key, X, T, COND)
    apply, _ = small
    chex.assert_trees_all_equal(apply(initial, X, T, COND), np.zeros(X.shape))


def test_an_example_does_not_see_its_batch(small):
    apply, moved = small
    both = apply(moved, X, T, COND)
    alone = apply(moved, X[1:], T[1:], COND[1:])
    chex.assert_trees_all_close(alone, both[1:], rtol=1e-4, atol=1e-5)


def test_label_and_t_change_the_output(small):
    apply, moved = small
    out = apply(moved, X, T, COND)
    label = apply(moved, X, T, jnp.array([1, 2]))
    later = apply(moved, X, T + jnp.array([0.0, 50.0]), COND)
    assert np.abs(label[0] - out[0]).max() > 1e-3
    assert np.abs(later[1] - out[1]).max() > 1e-3
    chex.assert_trees_all_close(label[1], out[1], rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(later[0], out[0], rtol=1e-4, atol=1e-5)


def test_mirror_symmetric_kernels_commute_with_mirroring():
    # Resampling by 2x2 blocks, norms and attention see no left or right, so on an
    # image that is not square nothing may mix up rows, columns and channels.
    net, moved = start(resblock_updown=True)
    moved = jax.tree.map(lambda a: (a + a[:, ::-1]) / 2 if a.ndim == 4 else a, moved)
    apply = quick(net.apply)
    got, want = apply(moved, X[:, :, ::-1], T, COND), apply(moved, X, T, COND)
    chex.assert_trees_all_close(got, want[:, :, ::-1], rtol=1e-3, atol=1e-4)
    assert np.abs(got - want).max() > 0.01


def test_bfloat16_computes_nearly_the_same_on_float32_parameters(small):
    apply, moved = small
    want = apply(moved, X, T, COND)
    net, same = start(dtype="bfloat16")
    got = quick(net.apply)(moved, X, T, COND)
    assert {a.dtype for a in jax.tree.leaves(same)} == {jnp.dtype("float32")}
    assert got.dtype == jnp.float32
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    assert 1e-5 < error < 0.03  # a bfloat16 has eight bits


def test_dropout_acts_in_training_only():
    (plain, moved), (net, _) = start(**FLAT), start(**FLAT, dropout=0.5)
    apply = quick(lambda rngs: net.apply(moved, X, T, COND, train=True, rngs=rngs))
    one, other = ({"dropout": jax.random.key(seed)} for seed in (0, 1))
    chex.assert_trees_all_equal(apply(one), apply(one))
    assert np.abs(apply(one) - apply(other)).max() > 1e-3
    # Without `train` no rng is needed, and the network is the one without dropout.
    got, want = net.apply(moved, X, T, COND), plain.apply(moved, X, T, COND)
    chex.assert_trees_all_close(got, want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("updown", [False, True])
def test_attention_stands_where_the_height_is_listed(updown):
    net = unet.make(**{**SMALL, "attention": [4], "resblock_updown": updown})
    params = jax.eval_shape(net.init, jax.random.key(0), X, T, COND)["params"]
    names = {k for part in (params, params["encoder"]) for k in part if "att" in k}
    # Level 1, where the map is 4 high (and 2 wide): one on the way down, two up.
    assert names == {"attention_1_0", "attention_1_1", "middle_attention"}


def test_the_wrong_number_of_input_channels_is_named():
    net = unet.make(**{**SMALL, "extra_channels": 2})
    with pytest.raises(ValueError, match="reads 4 channels, got"):
        net.init(jax.random.key(0), X, T, COND)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": (10, 8, 1), "multipliers": (1, 2, 2)}, "multiples of 4, got"),
        ({"shape": (8,)}, r"images \(h, w, c\), got"),
        ({"channels": 7}, "channels must be even"),
        ({"channels": 2}, "at least 4, got channels=2"),
        ({"multipliers": ()}, "multipliers must be positive"),
        ({"multipliers": (0.3, 1)}, "whole numbers of channels"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
        ({"attention": (16,)}, r"heights of the feature maps, \[8, 4\], got"),
        ({"num_heads": 0}, "exactly one of num_heads and head_channels"),
        ({"head_channels": 8}, "exactly one of num_heads and head_channels"),
        ({"num_heads": 3}, "num_heads must divide .* got 3 for a level of 8"),
        ({"num_heads": 0, "head_channels": 16}, "head_channels must divide .* of 8"),
        ({"embedding": "shift"}, "one of scale_shift, add, got"),
        ({"time_embedding": "sin"}, "one of sin_cos, cos_sin, got"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"dtype": "float16"}, "one of float32, bfloat16, got"),
        ({"num_classes": 0, "null_class": True}, "null_class needs classes"),
        ({"extra_channels": -1}, "cannot be negative"),
    ],
)
def test_what_cannot_be_built_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        unet.make(**{**SMALL, **fields})


def test_sequences_may_be_lists_and_the_network_is_hashable():
    as_tuples = {**SMALL, "multipliers": (1, 2), "attention": (8,)}
    assert hash(unet.make(**SMALL)) == hash(unet.make(**as_tuples))
    assert unet.make(**SMALL) == unet.make(**as_tuples)
