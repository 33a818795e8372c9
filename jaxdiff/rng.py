"""Randomness per example: image i depends on its own key, never on its batch.

(1)  training:  key_i = fold_in(fold_in(seed, step), i),  i the row in the global batch
(2)  sampling:  key_i = fold_in(seed, i),  i the number of the image
(3)  stratum_i = (u + i / B) mod 1,  u ~ U[0, 1) one draw a step, B the global batch

Draws therefore do not depend on the number of devices or on how batches are split.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Int, Key

Draw = Callable[..., Array]


class Keys(NamedTuple):
    """The randomness of one batch. Leaves lead with the batch, so they shard with it.

    key:     one per example
    stratum: f[b] in [0, 1), spread evenly over the global batch
    """

    key: Key[Array, "b"]
    stratum: Float[Array, "b"]


def batch_keys(key: Key[Array, ""], index: Int[Array, "b"], total: int) -> Keys:
    """The keys and strata of a step, equations 1 and 3.

    Args: key: of the step.  index: rows in the global batch.  total: its size.
    """
    shift = jax.random.uniform(jax.random.fold_in(key, total))
    stratum = (shift + index / total) % 1.0
    return Keys(split_by(key, index), stratum)


def split_by(key: Key[Array, ""], index: Int[Array, "b"]) -> Key[Array, "b"]:
    """One key per index; index i gets the same key in every batch that contains it."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


def fold(keys: Key[Array, "b"], data: int | Int[Array, ""]) -> Key[Array, "b"]:
    """Fold one number into every key, which gives each an independent stream."""
    return jax.vmap(lambda key: jax.random.fold_in(key, data))(keys)


def draw(random: Draw, keys: Key[Array, "b"], shape: tuple[int, ...]) -> Array:
    """`random(key, shape)` for each key, stacked: f32[b, *shape]."""
    return jax.vmap(lambda key: random(key, shape, jnp.result_type(float)))(keys)
