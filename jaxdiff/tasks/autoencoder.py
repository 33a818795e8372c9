"""Training an autoencoder, plain or variational.

(1)  loss = sum of distance(decode(z) - x) / 2 + kl_weight KL(N(mean, var) || N(0, I))
(2)  z = mean + sqrt(var) eps,   eps ~ N(0, I) by the key of the example
(3)  KL = sum of (mean^2 + var - 1 - log var) / 2
(4)  -log p(x) <= -log p(x | z) + log q(z | x) - log p(z),   z of equation 2
     The first two terms come from the decoder and the encoder. p(z) is any model of the
     codes: the autoencoder's N(0, I), or another one (latent diffusion).

Both terms of (1) are in nats, summed over an example's values and not divided. Only
then is the loss with kl_weight = 1 minus the bound on log p(x), up to a constant, for
normal p(x | z) of variance 1 (mse). Another variance v of p(x | z) is kl_weight = v.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.likelihood import Decoder, density
from jaxdiff.diffusion.losses import Distance
from jaxdiff.diffusion.posterior import kl_normal
from jaxdiff.tasks.task import Apply, Task


class Coder(NamedTuple):
    """A trained autoencoder.

    encode: x f32[b, ...] -> mean, log_var f32[b, *latent]; log_var is None if plain
    decode: z f32[b, *latent] -> x f32[b, ...], in model units, unbounded
    """

    encode: Partial
    decode: Partial


def make(
    network: nn.Module,
    *,
    shape: tuple[int, ...],
    kl_weight: float,
    distance: Distance,
) -> Task:
    """The task of equation 1.

    Its metrics are `reconstruction` and, with a log-variance, `kl`, both in nats.

    Args:    network: has methods encode and decode like a Coder; its call runs both.
             shape: of one x.
             kl_weight: 0 for a plain network, whose codes have no density.
             distance: see losses.py.
    Returns: Task whose model is a Coder.
    Errors:  ValueError if kl_weight is negative.
    """
    require(kl_weight >= 0, f"kl_weight must be at least 0, got {kl_weight}")

    def init(key):
        return network.init(key, jnp.zeros((1, *shape)))["params"]

    def loss(params, keys, batch, context):
        del context
        coder, x = coder_of(params), batch["x"]
        z, log_var = coder.encode(x)
        metrics, kl = {}, 0.0
        if log_var is not None:
            kl = kl_to_standard(z, log_var)
            z = sample_code(rng.fold(keys.key, 0), z, log_var)
            metrics["kl"] = kl
        error = _sum(distance(coder.decode(z) - x)) / 2
        return error + kl_weight * kl, {"reconstruction": error, **metrics}

    def coder_of(params):
        apply = Partial(Apply(network))
        return Coder(Partial(_encode, apply, params), Partial(_decode, apply, params))

    return Task(init, loss, coder_of, "autoencoder")


def sample_code(keys: Array, mean: Array, log_var: Array) -> Array:
    """Draw z, equation 2. keys: one per example."""
    eps = rng.draw(jax.random.normal, keys, mean.shape[1:])
    return mean + jnp.exp(log_var / 2) * eps


@jax.jit
def encode(coder: Coder, x: Array) -> tuple[Array, Array | None]:
    """coder.encode, compiled once for all coders of a kind."""
    return coder.encode(x)


@jax.jit
def decode(coder: Coder, z: Array) -> Array:
    """coder.decode, compiled once for all coders of a kind."""
    return coder.decode(z)


@jax.jit
def decode_normal(coder: Coder, keys: Array, like: Array) -> Array:
    """Decoded draws of N(0, I), f32[n, ...].

    Args: keys: n of them.  like: codes f32[b, *latent], for their shape.
    """
    return coder.decode(rng.draw(jax.random.normal, keys, like.shape[1:]))


@jax.jit
def decoding_error(keys: Array, coder: Coder, x: Array) -> Float[Array, "b"]:
    """The mean square error of what is decoded of one draw of each example's code."""
    z = sample_code(keys, *coder.encode(x))
    error = jnp.square(coder.decode(z) - x)
    return error.mean(tuple(range(1, x.ndim)))


class Share(NamedTuple):
    """The terms of equation 4 other than p(z), for each example.

    z:       f32[b, *latent], drawn
    decoder: f32[b], -log p(x | z) in nats
    encoder: f32[b], log q(z | x) in nats
    """

    z: Array
    decoder: Array
    encoder: Array


@jax.jit
def share(
    keys: Array, coder: Coder, x: Array, decoder: Decoder, log_std: float | Array
) -> Share:
    """One draw of the terms of equation 4 other than p(z).

    Args:    keys: one per example.  x: f32[b, ...] in model units.
             decoder, log_std: p(x | z), elementwise, around coder.decode(z).
    Returns: Share.
    Errors:  ValueError for a plain autoencoder, whose codes have no density.
    """
    mean, log_var = coder.encode(x)
    if log_var is None:
        raise ValueError(
            "a plain autoencoder's codes have no density, got log_var=None"
        )
    z = sample_code(keys, mean, log_var)
    log_p = decoder(x, coder.decode(z), jnp.full_like(x, log_std))
    return Share(z, -_sum(log_p), _sum(density()(z, mean, log_var / 2)))


def kl_to_standard(mean: Array, log_var: Array) -> Float[Array, "b"]:
    """KL(N(mean, var) || N(0, I)) of each example in nats, equation 3."""
    zero = jnp.zeros_like(mean)
    return _sum(kl_normal(mean, log_var, zero, zero))


def _encode(apply, params, x):
    return apply({"params": params}, x, method="encode")


def _decode(apply, params, z):
    return apply({"params": params}, z, method="decode")


def _sum(values):
    return jnp.sum(values, axis=tuple(range(1, values.ndim)))
