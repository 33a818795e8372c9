"""Training a classifier of noisy data, p(label | x_t, t): for guidance and features."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.diffusion import inputs
from jaxdiff.diffusion.conditions import labels_of
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.losses import Objective, noised
from jaxdiff.diffusion.types import Schedule
from jaxdiff.tasks.task import Apply, Task
from jaxdiff.tasks.validating import make_validation


class Classify(NamedTuple):
    """A trained classifier.

    logits:   (x_t f32[b, ...], t f32[] or f32[b]) -> f32[b, num_classes]
    features: the same arguments -> f32[b, c], the vector that the logits are linear in
    """

    logits: Callable
    features: Callable


@jax.jit
def clean_features(classify: Classify, x: Float[Array, "b ..."]) -> Float[Array, "b c"]:
    """The features of data without noise."""
    return classify.features(x, jnp.zeros(()))


@jax.jit
def clean_labels(classify: Classify, x: Float[Array, "b ..."]) -> Int[Array, "b"]:
    """The likeliest classes of data without noise."""
    return classify.logits(x, jnp.zeros(())).argmax(-1).astype(jnp.int32)


@jax.jit
def clean_both(
    classify: Classify, x: Float[Array, "b ..."]
) -> tuple[Float[Array, "b c"], Float[Array, "b k"]]:
    """The features of data without noise, and the probabilities of all classes.

    The parameters of the two are the same: given once, XLA merges what they share.
    """
    features, t = classify.features, jnp.zeros(())
    tree = jax.tree.structure(classify.logits)
    logits = jax.tree.unflatten(tree, jax.tree.leaves(features))
    return features(x, t), jax.nn.softmax(logits(x, t))


def make(
    network: nn.Module,
    objective: Objective,
    *,
    shape: tuple[int, ...],
    time_feature: Callable,
    sigma_data: float,
) -> Task:
    """The task of predicting the class of x_t, with cross-entropy in nats as the loss.

    The labels are the condition of the data, i32[b], which the network does not get.

    Args:    network: f(x f32[b, *shape], t_feature f32[b]) -> logits.
             objective: its schedule, times and noise make x_t. With
             times="constant(t=0.0)" and a schedule that starts at the data, x_t is x0.
             time_feature, sigma_data: as for the diffusion task.
    Returns: Task whose model is a Classify.
    Source:  Dhariwal & Nichol 2021, arXiv:2105.05233, section 4 and appendix H.
    """
    scale = sigma_data or None

    def init(key):
        return network.init(key, jnp.zeros((1, *shape)), jnp.zeros((1,)))["params"]

    def loss(params, keys, batch, context, train=True):
        del context
        c, x_t, _ = noised(keys, batch["x"], objective)
        rngs = {"dropout": jax.random.fold_in(keys.key[0], 3)}
        apply = partial(network.apply, train=train, rngs=rngs)
        logits = inputs.show(apply, time_feature, scale, params, x_t, c, None)
        labels = labels_of(batch["cond"])
        right = (logits.argmax(-1) == labels).astype(jnp.float32)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses, {"accuracy": right}

    def model(params):
        def of(apply):
            show = Partial(inputs.show, apply, time_feature, scale, params)
            return Partial(_at_time, show, objective.schedule)

        features = Partial(Apply(network, features=True))
        return Classify(of(Partial(Apply(network))), of(features))

    validation = make_validation(loss, objective)
    return Task(init, loss, model, "classifier", validation=validation)


def _at_time(show, schedule: Schedule, x_t, t):
    return show(x_t, coeffs(schedule, jnp.broadcast_to(t, x_t.shape[:1])), None)
