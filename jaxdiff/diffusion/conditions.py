"""Conditions: trees of arrays that only the data and the network's embedder look into.

A condition is None, or any tree of arrays whose first axis is the batch: class labels
i32[b], a vector, a sequence with its mask, an image beside x_t, or several of these by
name. Everything that happens to a condition on its way happens here, to the whole tree.

`null` is the condition that means "none", for one example: a tree like that of a batch,
but without the batch axis. A leaf of None in it stands for a part of the condition that
is never replaced.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Int, Key, PyTree, expand, require


class Beside(NamedTuple):
    """A condition together with an image that the network sees beside x_t.

    cond:  any condition, or None.
    image: f32[b, h, w, k], appended to the channels of x_t. It is None in a `null`,
           because guidance compares two conditions for the same image.
    """

    cond: Any
    image: Any


def null_like(null: PyTree, cond: PyTree) -> PyTree:
    """Repeat `null` for every example of a batch whose condition is `cond`.

    Returns: a tree like `cond`.
    Errors:  ValueError if the trees do not match.
    """

    def repeat(n: Any, c: Any) -> Any:
        if n is None:
            return c
        require(hasattr(c, "dtype"), f"a condition like {null=} is needed, got {c}")
        return jnp.broadcast_to(jnp.asarray(n, c.dtype), c.shape)

    return jax.tree.map(repeat, null, cond, is_leaf=lambda n: n is None)


def drop(
    keys: Key[Array, "b"],
    share: float | Float[Array, ""],
    null: PyTree,
    cond: PyTree,
) -> PyTree:
    """Replace the whole condition by `null` in a random share of the examples.

    Args:    keys: one per example; each example is dropped by its own key.
             share: probability of being dropped, in [0, 1].
             null, cond: trees that match.
    Returns: a tree like `cond`.
    """
    dropped = rng.draw(jax.random.uniform, keys, ()) < share

    def choose(n: Array, c: Array) -> Array:
        return jnp.where(expand(dropped, c), n, c)

    return jax.tree.map(choose, null_like(null, cond), cond)


def double(null: PyTree, cond: PyTree) -> PyTree:
    """The condition of a batch of twice the size: `cond`, followed by `null`."""

    def join(c: Array, n: Array) -> Array:
        return jnp.concatenate([c, n])

    return jax.tree.map(join, cond, null_like(null, cond))


def labels_of(cond: PyTree) -> Int[Array, "b"]:
    """The class labels that a condition consists of, alone or beside an image.

    Returns: i32[b].
    Errors:  ValueError for any other condition.
    """
    labels = cond.cond if isinstance(cond, Beside) else cond
    require(
        getattr(labels, "ndim", None) == 1
        and jnp.issubdtype(labels.dtype, jnp.integer),
        "a classifier guides towards integer class labels i32[b], and the condition is "
        f"{jax.tree.map(_described, labels)}; use classifier-free guidance instead",
    )
    return jnp.asarray(labels)


def _described(a: Any) -> str:
    return f"{a.dtype}{[*a.shape]}"
