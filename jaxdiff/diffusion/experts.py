"""Several networks, each for its part of the times, in the place of one for all.

(1)  out = network(params_k, x_t, t, cond),   k = the number of edges below t
(2)  edges = times(1 / K), ..., times((K - 1) / K), sorted, + OFF

`times` is the quantile function of the training times (times.py), so every network is
trained on the same share of the examples, 1 / K. The K sets of parameters are one tree
whose leaves lead with K.

Source: the expert denoisers of eDiff-I, Balaji et al. 2022, arXiv:2211.01324.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Key, PyTree, require
from jaxdiff.diffusion.times import TimeSampler
from jaxdiff.diffusion.types import Coeffs

# Edges stand this much above round numbers: the times of a grid are often round, and
# rounding would decide on which side of an edge they are.
OFF = 1e-4


def make_edges(times: TimeSampler, num: int) -> Float[Array, "edges"]:
    """The edges between `num` networks, equation 2.

    Errors: ValueError if there are too few different training times.
    """
    if num == 1:
        return jnp.zeros(0)
    low, high = jnp.sort(times(jnp.array([0.0, 1 - 1e-6])))
    edges = jnp.sort(times(jnp.arange(1, num) / num)) + OFF
    widths = jnp.diff(jnp.concatenate([low[None], edges, high[None]]))
    require(
        num > 1 and bool((widths > 0).all()),
        f"{num} experts need as many different training times, at least: choose other "
        "diffusion.times, or diffusion.experts=1",
    )
    return edges


def init(make: Callable[[Key[Array, ""]], PyTree], num: int, key: Array) -> PyTree:
    """`num` trees of parameters make(key) as one, whose leaves lead with num."""
    return jax.vmap(make)(jax.random.split(key, num))


def show(
    network: Callable,
    edges: Float[Array, "edges"],
    params: PyTree,
    x_t: Float[Array, "b ..."],
    c: Coeffs,
    cond: PyTree,
) -> Float[Array, "b ..."]:
    """The output of the network that each example's time belongs to, equation 1.

    At one time for all examples, as in sampling, one network is evaluated; at a batch
    of times all are.

    Args:    network: (params, x_t, Coeffs, cond) -> out.
             params: K trees as one.  c: of f32[] or f32[b].
    Returns: out, f32[b, ...].
    """
    which = jnp.searchsorted(edges, c.t)
    each = jax.tree.map(lambda a: jnp.broadcast_to(a, x_t.shape[:1]), c)

    def expert(k: int | Array) -> Array:
        return network(jax.tree.map(lambda leaf: leaf[k], params), x_t, each, cond)

    if which.ndim == 0:
        return expert(which)
    # one after the other: XLA's CPU backend runs vmapped convolutions 14 times slower
    outs = jnp.stack([expert(k) for k in range(len(edges) + 1)])
    return outs[which, jnp.arange(len(x_t))]
