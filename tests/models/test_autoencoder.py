"""The autoencoder: its size by hand, the shapes of its latents, what it refuses."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models import autoencoder

# Two levels of 4 and 8 channels, one residual block each, a 4x4 map between.
SMALL = {
    "shape": (8, 8, 1),
    "variational": True,
    "channels": 4,
    "multipliers": (1, 2),
    "latent_size": 0,
    "latent_channels": 3,
}


def conv(kernel, ins, outs):
    return kernel * kernel * ins * outs + outs


def res(ins, outs):
    norms = 2 * ins + 2 * outs
    skip = conv(1, ins, outs) if ins != outs else 0
    return norms + conv(3, ins, outs) + conv(3, outs, outs) + skip


def count(tree):
    return sum(a.size for a in jax.tree.leaves(tree))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("variational", [False, True])
def test_the_number_of_parameters_by_hand(flat, variational):
    fields = {"latent_size": 2, "latent_channels": 0} if flat else {}
    net = autoencoder.make(**{**SMALL, **fields, "variational": variational})
    x = jnp.zeros((1, 8, 8, 1))
    params = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
    moments = 2 if variational else 1
    down = conv(3, 1, 4) + res(4, 4) + conv(3, 4, 4) + res(4, 8) + 2 * 8
    # from the coarsest: 8 -> 8, up, 8 -> 4
    up = res(8, 8) + conv(3, 8, 8) + res(8, 4) + 2 * 4 + conv(3, 4, 1)
    inner = 4 * 4 * 8
    if flat:
        down += inner * 2 * moments + 2 * moments
        up += 2 * inner + inner
    else:
        down += conv(3, 8, 3 * moments)
        up += conv(3, 3, 8)
    assert count(params["encoder"]) == down
    assert count(params["decoder"]) == up
    assert count(params) == down + up


@pytest.mark.parametrize(
    ("fields", "latent"),
    [
        ({"latent_size": 2, "latent_channels": 0}, (2,)),
        ({"latent_size": 0, "latent_channels": 4}, (7, 7, 4)),
        ({"multipliers": (1, 2), "latent_channels": 1}, (14, 14, 1)),
    ],
)
@pytest.mark.parametrize("variational", [False, True])
def test_shapes_of_mnist(fields, latent, variational):
    fields = {"multipliers": (1, 2, 2), **fields, "variational": variational}
    net = autoencoder.make(**{**SMALL, "shape": (28, 28, 1), **fields})
    x = jnp.zeros((3, 28, 28, 1))
    variables = jax.eval_shape(net.init, jax.random.key(0), x)

    def there(variables, x):
        return net.apply(variables, x, method="encode")

    mean, log_var = jax.eval_shape(there, variables, x)
    assert mean.shape == (3, *latent)
    assert log_var.shape == mean.shape if variational else log_var is None
    back = jax.eval_shape(
        lambda v, z: net.apply(v, z, method="decode"), variables, mean
    )
    assert back.shape == x.shape and back.dtype == jnp.float32


def test_an_images_code_is_its_own_and_the_call_is_there_and_back():
    net = autoencoder.make(**SMALL)
    encode = jax.jit(partial(net.apply, method="encode"))
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    variables = jax.jit(net.init)(jax.random.key(0), x)
    mean, log_var = encode(variables, x)
    alone, log_var_alone = encode(variables, x[1:2])
    chex.assert_trees_all_close(mean[1:2], alone, atol=1e-5, rtol=1e-7)
    chex.assert_trees_all_close(log_var[1:2], log_var_alone, atol=1e-5, rtol=1e-7)
    assert np.abs(mean[0] - mean[1]).max() > 1e-3
    back = jax.jit(partial(net.apply, method="decode"))(variables, mean)
    whole = jax.jit(net.apply)(variables, x)
    chex.assert_trees_all_close(whole, back, atol=1e-6, rtol=1e-7)


def test_bfloat16_keeps_float32_outside():
    net = autoencoder.make(**SMALL, dtype="bfloat16")
    x = jnp.zeros((2, 8, 8, 1))
    variables = jax.eval_shape(net.init, jax.random.key(0), x)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    out = jax.eval_shape(net.apply, variables, x)
    assert out.dtype == jnp.float32


def test_an_image_of_another_size_is_refused():
    net = autoencoder.make(**SMALL)
    with pytest.raises(ValueError, match=r"encodes images \(8, 8, 1\), got"):
        jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 16, 8, 1)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"multipliers": (1, 2, 2, 2), "shape": (28, 28, 1)}, "multiples of 8, got"),
        ({"shape": (8,)}, r"images \(h, w, c\), got"),
        ({"channels": 0}, "channels must be at least 1, got"),
        ({"multipliers": (0.3, 1)}, "whole numbers of channels"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
        ({"latent_channels": 0}, "exactly one of latent_size"),
        ({"latent_size": 2}, "exactly one of latent_size"),
        ({"latent_size": -1, "latent_channels": 1}, "exactly one of latent_size"),
        ({"decoder_blocks": -1}, "decoder_blocks cannot be negative"),
        ({"latent_size": 2, "latent_channels": 0, "latent_conv": True}, "for a map"),
        ({"dtype": "float16"}, "one of float32, bfloat16, got"),
    ],
)
def test_what_cannot_be_built_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        autoencoder.make(**{**SMALL, **fields})
