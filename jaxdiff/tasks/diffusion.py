"""Training a denoiser: a network, an objective and what the network is shown."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.diffusion import inputs, upsampling
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.losses import Objective, denoising_loss
from jaxdiff.tasks.task import Apply, Task


def make(
    network: nn.Module,
    objective: Objective,
    *,
    shape: tuple[int, ...],
    num_classes: int,
    label_dropout: float,
    time_feature: Callable,
    sigma_data: float,
    low_size: int = 0,
    augment: float = 0.0,
) -> Task:
    """The task of predicting what `objective` says from x_t.

    Args: network: f(x f32[b, *shape], t_feature f32[b], labels i32[b] or None).
          num_classes: 0 for no condition.  label_dropout: share of examples whose label
          is replaced by the null class, number num_classes.
          time_feature: inputs.py.  sigma_data: scales x_t to unit variance; 0 is off.
          low_size: side of the small image that an upsampler is conditioned on, 0 for
          none.  augment: the most that it is noised (upsampling.py).
    """
    none = num_classes if num_classes and label_dropout else None
    scale = sigma_data or None

    def init(key):
        extra = upsampling.extra_channels(shape, augment) if low_size else 0
        x, t = jnp.zeros((1, *shape[:-1], shape[-1] + extra)), jnp.zeros((1,))
        labels = jnp.zeros((1,), jnp.int32) if num_classes else None
        return network.init(key, x, t, labels)["params"]

    def loss(params, keys, batch):
        labels = batch["label"] if num_classes else None
        if labels is not None and none is not None:
            u = rng.draw(jax.random.uniform, rng.fold(keys.key, 2), ())
            labels = jnp.where(u < label_dropout, none, labels)
        cond = lowered(keys.key, batch["x"], labels) if low_size else labels
        apply = partial(
            network.apply,
            train=True,
            rngs={"dropout": jax.random.fold_in(keys.key[0], 3)},
        )
        shown = partial(inputs.show, apply, time_feature, scale, params)
        return denoising_loss(keys, shown, batch["x"], cond, objective)

    def lowered(keys, x0, labels):
        u = rng.draw(jax.random.uniform, rng.fold(keys, 4), ())
        return upsampling.beside(
            rng.fold(keys, 5),
            upsampling.shrink(x0, low_size),
            labels,
            shape=shape,
            schedule=objective.schedule,
            noise=objective.noise,
            amount=augment * u if augment else None,
        )

    def denoiser(params):
        apply = Partial(Apply(network))
        return make_denoise(
            Partial(inputs.show, apply, time_feature, scale, params),
            schedule=objective.schedule,
            prediction=objective.prediction,
            learned_variance=objective.learned_variance,
        )

    null = inputs.Beside(none, None) if low_size and none is not None else none
    return Task(init, loss, denoiser, "denoiser", null)
