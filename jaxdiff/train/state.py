"""The training state: arrays only, so the state is the checkpoint."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxdiff.arrays import PyTree
from jaxdiff.train import ema as averaging


@flax.struct.dataclass
class TrainState:
    """step, i32[], counts optimiser steps done; ema is the running average of params,
    or a tuple of several, the run's own first (ema.py).

    No field has an array's type: JAX and orbax also fill the tree with placeholders.
    """

    step: Any
    params: PyTree
    ema: PyTree
    opt_state: PyTree


def init_state(
    params: PyTree, tx: optax.GradientTransformation, powers: int = 0
) -> TrainState:
    """A state at step 0. powers: averages kept beside the run's own."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema=averaging.start(params, powers),
        opt_state=tx.init(params),
    )


@jax.jit
def all_finite(tree: PyTree) -> Any:
    """bool[]: whether every number of a tree of arrays is finite."""
    leaves = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all()


def num_params(params: PyTree) -> int:
    """How many numbers; also of shapes from `jax.eval_shape`."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
