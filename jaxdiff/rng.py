"""Randomness per example: image i depends on its own key, never on its batch.

(1)  training:  key_i = fold_in(fold_in(seed, step), i),  i the row in the global batch
(2)  sampling:  key_i = fold_in(seed, i),  i the number of the image
(3)  stratum_i = (u + i / B) mod 1,  u ~ U[0, 1) one draw a step, B the global batch

So neither the number of devices nor the split into batches changes a draw.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Int, Key

Draw = Callable[..., Array]


class Keys(NamedTuple):
    """One batch's randomness; every leaf leads with the batch, so it shards with it.

    key: each example's own.  stratum: evenly spread over the global batch, in [0, 1).
    """

    key: Key[Array, "b"]
    stratum: Float[Array, "b"]


def batch_keys(key: Key[Array, ""], index: Int[Array, "b"], total: int) -> Keys:
    """Equations 1 and 3: `key` is the step's, `total` the size of the global batch."""
    shift = jax.random.uniform(jax.random.fold_in(key, total))
    stratum = (shift + index / total) % 1.0
    return Keys(split_by(key, index), stratum)


def split_by(key: Key[Array, ""], index: Int[Array, "b"]) -> Key[Array, "b"]:
    """One key per index; index i has the same key in every batch that holds it."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


def fold(keys: Key[Array, "b"], data: int | Int[Array, ""]) -> Key[Array, "b"]:
    """Fold the same number into every key: an independent stream for each."""
    return jax.vmap(lambda key: jax.random.fold_in(key, data))(keys)


def draw(random: Draw, keys: Key[Array, "b"], shape: tuple[int, ...]) -> Array:
    """`random(key, shape)` for each key, stacked: f32[b, *shape]."""
    return jax.vmap(lambda key: random(key, shape, jnp.result_type(float)))(keys)
