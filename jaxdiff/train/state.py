"""The training state. It holds arrays only, so the state is the checkpoint."""

from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxdiff.arrays import PyTree
from jaxdiff.train import ema as averaging


@flax.struct.dataclass
class TrainState:
    """The state after `step` optimiser steps.

    step:      i32[]
    params:    the network's parameters
    ema:       their running average, or a tuple of several, the run's own first
               (ema.py)
    opt_state: of the optimiser

    No field has an array's type, because JAX and orbax also put placeholders in the
    tree.
    """

    step: Any
    params: PyTree
    ema: PyTree
    opt_state: PyTree


class Span(NamedTuple):
    """The steps of one call, before < step <= last, of a run that has `end`."""

    before: int
    last: int
    end: int

    def crosses(self, every: int) -> bool:
        """Whether one of them is a multiple of `every`; of 0 none is."""
        return every > 0 and self.last // every > self.before // every

    def due(self, every: int) -> bool:
        """The same, and always at the end of the run."""
        return self.crosses(every) or self.last >= self.end


def init_state(
    params: PyTree, tx: optax.GradientTransformation, powers: int = 0
) -> TrainState:
    """The state at step 0. powers: the number of averages beside the run's own."""
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
    """The number of parameters; also from the shapes of `jax.eval_shape`."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
