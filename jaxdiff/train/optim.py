"""Optimisers from optax. Each name in `__all__` can be chosen by a config."""

import jax
import jax.numpy as jnp
import optax

from jaxdiff.arrays import Array, Float, PyTree, require
from jaxdiff.train.lr_schedules import LrSchedule

__all__ = ["adam", "adamw"]

Optimizer = optax.GradientTransformation
# The least size of a leaf whose norm is a program of its own.
LARGE = 1 << 14


def adam(
    lr: LrSchedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    """Adam.

    Errors: ValueError unless b1 and b2 are in [0, 1) and eps > 0.
    Source: Kingma & Ba 2015, arXiv:1412.6980.
    """
    _check(b1, b2, eps)
    return optax.adam(lr, b1, b2, eps)


def adamw(
    lr: LrSchedule,
    weight_decay: float = 0.01,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Optimizer:
    """Adam with decoupled weight decay.

    Errors: as `adam`, and ValueError if weight_decay < 0.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """
    _check(b1, b2, eps)
    require(weight_decay >= 0, f"weight_decay must be >= 0, got {weight_decay=}")
    return optax.adamw(lr, b1, b2, eps, weight_decay=weight_decay)


def _check(b1, b2, eps):
    require(0 <= b1 < 1 and 0 <= b2 < 1, f"b1, b2 must be in [0, 1), got {b1=}, {b2=}")
    require(eps > 0, f"eps must be > 0, got {eps=}")


def clipped(tx: Optimizer, max_norm: float) -> Optimizer:
    """Scale gradients to a global norm of at most max_norm; 0 leaves them as they are.

    Errors: ValueError if max_norm < 0.
    """
    require(max_norm >= 0, f"clip_norm must be >= 0 (0 is off), got {max_norm=}")
    if not max_norm:
        return tx

    def clip(updates, state, params=None):
        scale = max_norm / jnp.maximum(global_norm(updates), max_norm)
        return jax.tree.map(lambda a: (a * scale).astype(a.dtype), updates), state

    init = lambda params: optax.EmptyState()  # noqa: E731
    return optax.chain(optax.GradientTransformation(init, clip), tx)


def global_norm(tree: PyTree) -> Float[Array, ""]:
    """The Euclidean norm of all leaves together.

    Large leaves are summed along their last axis, and then all as one vector: a GPU
    runs one program for hundreds of small leaves, not one each. XLA would take the sum
    of the vector apart again, but for the barrier.
    """
    if not jax.tree.leaves(tree):
        return jnp.zeros(())
    squares = [jnp.square(a) for a in jax.tree.leaves(tree)]
    parts = [(a if a.size < LARGE else a.sum(-1)).ravel() for a in squares]
    return jnp.sqrt(jax.lax.optimization_barrier(jnp.concatenate(parts)).sum())
