"""Attention's formula, and the program that computes it.

On a CUDA GPU cuDNN's kernel computes it in bfloat16, wherever it takes the shape. It
never writes the weights, n times m a head, to memory.
"""

import math

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.models.backend import on_gpu

__all__ = ["attend"]


def attend(
    q: Float[Array, "b n k d"],
    k: Float[Array, "b m k d"],
    v: Float[Array, "b m k d"],
    train: bool = False,
) -> Float[Array, "b n k d"]:
    """softmax(q k' / sqrt(d)) v in each head, with logits and softmax in float32.

    train: take the gradient too from cuDNN, which has no forward-mode derivative.
           Without it every derivative is that of the plain formula.
    """
    if not _fits(q, k, v):
        return _plain(q, k, v)
    cuda = _cudnn if train else _both_modes
    return jax.lax.platform_dependent(q, k, v, cuda=cuda, default=_plain)


def _plain(q, k, v):
    scale = 1.0 / math.sqrt(q.shape[-1])
    logits = jnp.einsum("bnkd,bmkd->bknm", q * scale, k, preferred_element_type="f4")
    weights = jax.nn.softmax(logits, axis=-1).astype(v.dtype)  # (b, k, n, m)
    return jnp.einsum("bknm,bmkd->bnkd", weights, v)


def _cudnn(q, k, v):
    return jax.nn.dot_product_attention(q, k, v, implementation="cudnn")


@jax.custom_jvp
def _both_modes(q, k, v):
    return _cudnn(q, k, v)


@_both_modes.defjvp
def _(primals, tangents):
    return _both_modes(*primals), jax.jvp(_plain, primals, tangents)[1]


def _fits(q, k, v) -> bool:
    """Whether cuDNN is there and takes these arrays: JAX checks both in tracing.

    With heads wider than 128 it is no faster than the products.
    """
    if not on_gpu() or q.dtype != jnp.bfloat16 or q.shape[-1] > 128:
        return False
    try:
        jax.eval_shape(lambda *a: jax.vjp(_cudnn, *a)[0], q, k, v)
    except (NotImplementedError, RuntimeError, ValueError):
        return False
    return True
