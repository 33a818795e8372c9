"""DDPM++ and NCSN++: their published sizes, their labels, and what is refused.

Their outputs are compared with EDM's code in tests/interop/test_edm.py.
"""

import math

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import song_unet

# Of EDM's constructors, with augmentation labels: 9 numbers, each a row of `channels`
# times 1 (ddpmpp) or 2 (ncsnpp), which our networks do not have. Ours count the 128
# random frequencies of ncsnpp, which are a buffer there.
FFHQ = {"multipliers": (1, 2, 2, 2)}
NCSNPP = {"family": "ncsnpp"}
PUBLISHED = {
    "ddpmpp_cifar10": (32, 10, {}, 55_735_299 - 9 * 128),
    "ddpmpp_cifar10_unconditional": (32, 0, {}, 55_733_891 - 9 * 128),
    "ncsnpp_cifar10_unconditional": (32, 0, NCSNPP, 56_397_827 - 9 * 256 + 128),
    "ddpmpp_ffhq": (64, 0, FFHQ, 61_805_571 - 9 * 128),
}


def shapes(net, size, classes):
    x, cond = jnp.zeros((1, size, size, 3)), jnp.zeros(1, jnp.int32)
    args = (x, jnp.zeros(1), cond if classes else None)
    return jax.eval_shape(net.init, jax.random.key(0), *args)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name):
    size, classes, fields, count = PUBLISHED[name]
    net = song_unet.make(shape=(size, size, 3), num_classes=classes, **fields)
    leaves = jax.tree.leaves(shapes(net, size, classes))
    assert sum(math.prod(a.shape) for a in leaves) == count


SMALL = {"channels": 8, "multipliers": (1,), "num_blocks": 1, "attention": ()}
T = jnp.array([0.3, 0.3, -0.2])


def mapping(family="ddpmpp", classes=3, null_class=True):
    """The embedding of time and label, and parameters none of which is zero."""
    module = song_unet.Mapping(
        8, song_unet.FAMILIES[family], classes, null_class, jnp.float32
    )
    like = jax.eval_shape(module.init, jax.random.key(0), T, jnp.zeros(3, jnp.int32))
    gen = np.random.default_rng(0)
    return module, jax.tree.map(
        lambda a: jnp.asarray(gen.normal(size=a.shape), a.dtype), like
    )


@pytest.mark.parametrize("family", song_unet.FAMILIES)
def test_no_label_leaves_the_bias_and_others_give_nan(family):
    module, params = mapping(family)
    emb = module.apply(params, T, jnp.array([2, 3, 4]))
    none = module.apply(params, T, None)
    chex.assert_trees_all_close(emb[1], none[1], rtol=1e-6)
    assert np.isfinite(emb[:2]).all() and np.isnan(emb[2]).all()
    assert abs(emb[0] - emb[1]).max() > 1e-3
    # without the label's layer but its bias, there are no classes
    bias = params["params"]["label"]["bias"]
    size = 8 * song_unet.FAMILIES[family].waves
    chex.assert_shape(bias, (size,))
    params["params"]["label"]["kernel"] *= 0.0
    chex.assert_trees_all_close(module.apply(params, T, None), none, rtol=1e-6)


def test_a_label_is_scaled_by_the_root_of_their_number():
    module, params = mapping()
    p = params["params"]
    bare = song_unet.Mapping(8, song_unet.FAMILIES["ddpmpp"], 0, False, jnp.float32)
    seen = {}

    def first_layer(call, args, kwargs, context):
        if context.module.name == "time_in":
            seen[context.module.path, len(seen)] = args[0]
        return call(*args, **kwargs)

    with nn.intercept_methods(first_layer):
        module.apply(params, T, jnp.array([0, 1, 2]))
        bare.apply({"params": {k: p[k] for k in ("time_in", "time_out")}}, T, None)
    labelled, plain = seen.values()
    expected = plain + math.sqrt(3) * p["label"]["kernel"] + p["label"]["bias"][None]
    chex.assert_trees_all_close(labelled, expected, rtol=1e-5, atol=1e-5)


def test_random_frequencies_are_waves_that_no_gradient_reaches():
    module, params = mapping("ncsnpp", classes=0, null_class=False)
    chex.assert_shape(params["params"]["frequencies"], (8,))
    grads = jax.grad(lambda p: module.apply(p, T, None).sum())(params)["params"]
    chex.assert_trees_all_equal(grads["frequencies"], np.zeros(8, np.float32))
    assert abs(grads["time_in"]["kernel"]).max() > 1e-3
    drawn = module.init(jax.random.key(0), jnp.zeros(1), None)["params"]["frequencies"]
    assert 16 / 3 < np.std(drawn) < 16 * 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"family": "song"}, "family must be one of ddpmpp, ncsnpp, got .*'song'"),
        ({"null_class": True}, "null_class needs classes"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"attention": (5,)}, r"attention must list heights .*\[8\], got .*5"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"multipliers": (1,) * 5}, "multiples of 16"),
    ],
)
def test_what_cannot_be_built_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        song_unet.make(shape=(8, 8, 2), **{**SMALL, **fields})
