"""Training a denoiser, from a network, an objective and the network's inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import PyTree, require
from jaxdiff.diffusion import conditions, experts, inputs, upsampling
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.losses import Objective, denoising_loss
from jaxdiff.models.embeddings import embedding_of
from jaxdiff.tasks.task import Apply, Task
from jaxdiff.tasks.validating import make_validation


def make(
    network: Any,
    objective: Objective,
    *,
    shape: tuple[int, ...],
    example_cond: PyTree,
    null: PyTree,
    cond_dropout: float,
    time_feature: Callable,
    sigma_data: float,
    low_size: int = 0,
    augment: float = 0.0,
    num_experts: int = 1,
) -> Task:
    """The task of predicting the target of `objective` from x_t.

    Args:    network: f(x f32[b, *shape], t_feature f32[b], cond): init and apply.
             shape: of one x0.  example_cond: a batch of one condition, for its shapes;
             None for a network without.
             null: the condition that means "none", see conditions.py.
             cond_dropout: share of examples trained with `null`; 0 for a model that
             always has its condition.
             time_feature: see inputs.py.
             sigma_data: scales x_t to variance 1 for data of this standard deviation,
             in model units; 0 is off.
             low_size: side of the small image that an upsampler is conditioned on; 0
             for other models.  augment: the most noise on it (upsampling.py).
             num_experts: networks, each for a part of the times (experts.py).
    Returns: Task whose model is a Denoise.
    Errors:  ValueError if `null` is needed and missing, or does not match the example.
    """
    drops = example_cond is not None and cond_dropout > 0
    null, scale = null if drops else None, sigma_data or None
    require(
        not drops or null is not None,
        f"{cond_dropout=} needs a null, the condition that means none, which these "
        "data do not have; set it to 0",
    )
    jax.eval_shape(conditions.null_like, null, example_cond)  # raises for a mismatch

    extra = upsampling.extra_channels(shape, augment) if low_size else 0
    read = (*shape[:-1], shape[-1] + extra)  # the shape of what the network reads

    def init(key):
        x, t = jnp.zeros((1, *read)), jnp.zeros((1,))
        cond = jax.tree.map(jnp.asarray, example_cond)

        def init_one(key):
            return network.init(key, x, t, cond)["params"]

        several = num_experts > 1
        return experts.init(init_one, num_experts, key) if several else init_one(key)

    edges = experts.make_edges(objective.times, num_experts)

    def show(apply, params):
        """(x_t, Coeffs, cond) -> out."""
        shown = Partial(inputs.show, apply, time_feature, scale)
        if num_experts == 1:
            return Partial(inputs.show, *shown.args, params)
        return Partial(experts.show, shown, edges, params)

    def loss(params, keys, batch, context, train=True):
        del context
        cond = None if example_cond is None else batch["cond"]
        if drops:
            cond = conditions.drop(rng.fold(keys.key, 2), cond_dropout, null, cond)
        if low_size:
            cond = lowered(keys.key, batch["x"], cond)
        rngs = {"dropout": jax.random.fold_in(keys.key[0], 3)}
        apply = partial(network.apply, train=train, rngs=rngs)
        network_at = show(apply, params)
        return denoising_loss(keys, network_at, batch["x"], cond, objective)

    def lowered(keys, x0, cond):
        u = rng.draw(jax.random.uniform, rng.fold(keys, 4), ())
        return upsampling.beside(
            rng.fold(keys, 5),
            upsampling.shrink(x0, low_size),
            cond,
            shape=shape,
            schedule=objective.schedule,
            noise=objective.noise,
            amount=augment * u if augment else None,
        )

    def denoiser(params):
        return make_denoise(
            show(Partial(Apply(network)), params),
            schedule=objective.schedule,
            prediction=objective.prediction,
            learned_variance=objective.learned_variance,
            scalar_times=num_experts > 1,
        )

    def embed(params, t, cond):
        x, c = jnp.zeros((len(t), *read)), coeffs(objective.schedule, t)
        return embedding_of(network, params, x, time_feature(c), cond)

    return Task(
        init,
        loss,
        denoiser,
        "denoiser",
        is_upsampler=low_size > 0,
        null=conditions.Beside(null, None) if drops and low_size else null,
        example_cond=example_cond,
        validation=make_validation(loss, objective),
        embed=embed if num_experts == 1 else None,
    )
