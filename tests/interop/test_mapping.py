"""Tables of weights: their layouts by hand, both directions, and what is refused."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.interop import mapping
from jaxdiff.interop.mapping import Leaf

GEN = np.random.default_rng(0)
HEADS, D = 2, 3
C = HEADS * D


def legacy(i, h, d):
    """Where feature d of head h of query, key or value i is in ADM's older order."""
    return h * 3 * D + i * D + d


def test_layouts_are_those_of_torch():
    t = GEN.normal(size=(4, 3, 2, 5))
    assert mapping.conv.to_ours(t)[1, 4, 2, 3] == t[3, 2, 1, 4]
    t = GEN.normal(size=(4, 3))
    assert mapping.dense.to_ours(t)[2, 3] == t[3, 2]
    for spatial in (1, 2):
        kernel = mapping.pointwise(spatial).to_ours(t.reshape(4, 3, *(1,) * spatial))
        np.testing.assert_array_equal(kernel, t.T)


@pytest.mark.parametrize(
    ("order", "place"),
    [
        ("h3d", legacy),
        ("hd3", lambda i, h, d: h * 3 * D + d * 3 + i),
        ("3hd", lambda i, h, d: i * C + h * D + d),
    ],
)
@pytest.mark.parametrize("heads", [{"num_heads": HEADS}, {"head_channels": D}])
def test_queries_keys_and_values_are_reordered(order, place, heads):
    kernel, bias = GEN.normal(size=(3 * C, C, 1)), GEN.normal(size=3 * C)
    for t, layout in ((kernel, mapping.pointwise(1)), (bias, mapping.same)):
        ours = mapping.ordered(layout, order, **heads).to_ours(t)
        ours = ours.reshape(-1, 3, HEADS, D)
        for i, h, d in np.ndindex(3, HEADS, D):
            expected = t[place(i, h, d)].reshape(-1)
            np.testing.assert_array_equal(ours[:, i, h, d], expected)


def test_three_tensors_are_one():
    q, k, v = GEN.normal(size=(3, 4, C))
    both = mapping.joined(mapping.dense)
    np.testing.assert_array_equal(both.to_ours(q, k, v), np.concatenate([q, k, v]).T)


NAMES = {
    "stem": "conv_in",
    "norm": "norm",
    "qkv": ("q", "k", "v"),
    "old": "attention.qkv",
    "out": "proj",
}
LAYOUTS = {
    "qkv": (mapping.pointwise(2), mapping.joined),
    "old": (
        mapping.pointwise(1),
        partial(mapping.ordered, order="h3d", num_heads=HEADS),
    ),
}
SHAPES = {
    "stem": {"kernel": (3, 3, 2, C), "bias": (C,)},
    "norm": {"scale": (C,), "bias": (C,)},
    "qkv": {"kernel": (C, 3 * C), "bias": (3 * C,)},
    "old": {"kernel": (C, 3 * C), "bias": (3 * C,)},
    "out": {"kernel": (C, 4)},
}
PARAMS = jax.tree.map(
    lambda s: GEN.normal(size=s).astype(np.float32),
    SHAPES,
    is_leaf=lambda x: isinstance(x, tuple),
)
LIKE = jax.eval_shape(lambda: PARAMS)
TABLE = mapping.table(LIKE, NAMES.__getitem__, LAYOUTS.get)


def test_both_directions_are_inverse_and_name_everything():
    tensors = mapping.write(TABLE, PARAMS)
    assert {name: a.shape for name, a in tensors.items()} == {
        "conv_in.weight": (C, 2, 3, 3),
        "conv_in.bias": (C,),
        **{f"norm.{name}": (C,) for name in ("weight", "bias")},
        **{f"{name}.weight": (C, C, 1, 1) for name in "qkv"},
        **{f"{name}.bias": (C,) for name in "qkv"},
        "attention.qkv.weight": (3 * C, C, 1),
        "attention.qkv.bias": (3 * C,),
        "proj.weight": (4, C),
    }
    chex.assert_trees_all_equal(mapping.read(TABLE, tensors, LIKE), PARAMS)
    half = {k: a.astype(jnp.bfloat16) for k, a in tensors.items()}
    result = mapping.read(TABLE, half, LIKE)
    chex.assert_trees_all_equal_shapes_and_dtypes(result, PARAMS)
    chex.assert_trees_all_close(result, PARAMS, rtol=2**-8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"q.bias": None}, "it lacks q.bias$"),
        (
            dict.fromkeys(["q.bias", "k.bias", "v.bias", "norm.bias", "proj.weight"]),
            r"it lacks norm.bias, proj.weight, q.bias and 2 more$",
        ),
        ({"other": np.zeros(1)}, "it has the unknown other$"),
        ({"proj.weight": np.zeros((C, 4))}, r"proj.weight .* \(4, 6\), got \(6, 4\)$"),
        ({"proj.weight": np.zeros((4, C), np.int32)}, "floating-point .* proj.weight$"),
    ],
)
def test_other_tensors_are_refused(change, words):
    tensors = {**mapping.write(TABLE, PARAMS), **change}
    tensors = {name: a for name, a in tensors.items() if a is not None}
    with pytest.raises(ValueError, match=words):
        mapping.read(TABLE, tensors, LIKE)


def test_a_table_names_each_of_our_parameters():
    tensors = mapping.write(TABLE, PARAMS)
    with pytest.raises(ValueError, match="for our parameter norm/bias"):
        mapping.read([*TABLE[1:]], tensors, LIKE)
    more = [*TABLE, Leaf("extra/bias", ("extra.bias",), mapping.same)]
    with pytest.raises(ValueError, match="no parameter extra/bias"):
        mapping.read(more, tensors, LIKE)
