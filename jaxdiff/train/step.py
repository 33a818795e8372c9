"""The training step. It depends on devices only through the name of an axis.

(1)  grads = mean over the global batch of d loss_i / d params
(2)  params <- params + tx(grads);   ema <- beta(n) ema + (1 - beta(n)) params

Example i of the global batch draws from fold_in(fold_in(seed, step), i) on whichever
device it is, so splitting the batch over devices or micro-batches changes no draw. A
network's dropout is the exception: flax draws one mask for all examples of a part, from
the key of the first.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxdiff.arrays import Array, Float, Int, PyTree
from jaxdiff.rng import Keys, batch_keys
from jaxdiff.train import ema as averaging
from jaxdiff.train.optim import global_norm
from jaxdiff.train.state import TrainState

Metrics = dict[str, Float[Array, "..."]]


class Context(NamedTuple):
    """What a loss may use beside its batch. None of it is differentiated.

    step:   the number of optimiser steps done before this one
    ema:    the run's own average of the parameters, before this step
    frozen: arrays of the task that are not trained, or None
    """

    step: Int[Array, ""]
    ema: PyTree
    frozen: PyTree


Loss = Callable[[PyTree, Keys, PyTree, Context], tuple[Float[Array, "b"], Metrics]]
# (state, batch, key, frozen=None) -> (state, metrics)
Step = Callable[..., tuple[TrainState, Metrics]]


def make_train_step(
    loss: Loss,
    tx: optax.GradientTransformation,
    decay: averaging.Decay | tuple[averaging.Decay, ...],
    *,
    axis: str | None,
    accumulate: int = 1,
) -> Step:
    """One optimiser step for each slice of the leading axis of the batch.

    Args:    loss: (params, keys, batch, context) -> (f32[b], metrics of f32[b]).
             tx: the optimiser.  decay: of each average, see ema.py.
             axis: the pmap axis to average over, or None for a single device.
             accumulate: micro-batches whose gradients are averaged; divides b.
    Returns: (state, batch, key, frozen=None) -> (state, metrics). The batch's leaves
             are [k, b, ...], for k optimiser steps in one call: a scan, for models so
             small that dispatch would dominate. The metrics are f32[k]. `frozen` is
             passed to the context.
    """

    def grad_of(params, context, keys, batch):
        def mean_loss(params):
            losses, metrics = loss(params, keys, batch, context)
            metrics = {"loss": losses, **metrics}
            return jnp.mean(losses), jax.tree.map(jnp.mean, metrics)

        return jax.grad(mean_loss, has_aux=True)(params)

    def accumulated(params, context, keys, batch):
        if accumulate == 1:
            return grad_of(params, context, keys, batch)
        parts = jax.tree.map(
            lambda a: a.reshape(accumulate, -1, *a.shape[1:]), (keys, batch)
        )
        zero = jax.eval_shape(
            lambda p: grad_of(params, context, *p), jax.tree.map(_first, parts)
        )
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), zero)

        def add(total, part):
            grads = grad_of(params, context, *part)
            return jax.tree.map(jnp.add, total, grads), None

        # XLA's CPU backend runs the gradient of a convolution far slower in a loop
        total, _ = jax.lax.scan(add, zero, parts, unroll=jax.default_backend() == "cpu")
        return jax.tree.map(lambda a: a / accumulate, total)

    def one(key, frozen, state, batch):
        b = len(jax.tree.leaves(batch)[0])
        first, devices = (0, 1) if axis is None else _place(axis)
        keys = batch_keys(
            jax.random.fold_in(key, state.step),
            first * b + jnp.arange(b),
            b * devices,
        )
        context = Context(state.step, averaging.primary(state.ema), frozen)
        grads, metrics = accumulated(state.params, context, keys, batch)
        if axis is not None:
            grads, metrics = jax.lax.pmean((grads, metrics), axis)
        if jax.default_backend() == "gpu":
            grads = _in_order(grads)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        step = state.step + 1
        ema = averaging.advance(state.ema, params, step, decay)
        metrics["grad_norm"] = global_norm(grads)
        return TrainState(step, params, ema, opt_state), metrics

    def steps(state, batch, key, frozen=None):
        if len(jax.tree.leaves(batch)[0]) == 1:  # without a loop, for the same reason
            state, metrics = one(key, frozen, state, jax.tree.map(_first, batch))
            return state, jax.tree.map(lambda a: a[None], metrics)
        return jax.lax.scan(partial(one, key, frozen), state, batch)

    return steps


def _place(axis):
    return jax.lax.axis_index(axis), jax.lax.axis_size(axis)


def _first(a):
    return a[0]


def _in_order(grads):
    """The same values, in memory as the parameters are.

    A GPU's gradients of convolutions are transposed. XLA would transpose all that the
    optimiser writes instead, and then copy it to where the donated state was.
    """
    flat = jax.lax.optimization_barrier(jax.tree.map(jnp.ravel, grads))
    return jax.tree.map(lambda a, g: a.reshape(g.shape), flat, grads)
