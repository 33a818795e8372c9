"""The classifier's task: cross-entropy by hand, at the times of its objective."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.diffusion import inputs, noises, predictions, schedules, times
from jaxdiff.diffusion.losses import Objective, mse
from jaxdiff.rng import batch_keys
from jaxdiff.tasks import classifier
from jaxdiff.train.step import Context

CONTEXT = Context(jnp.zeros((), jnp.int32), None, None)


class First(nn.Module):
    """Logits: the first two values of x, and the time; features: twice them."""

    @nn.compact
    def __call__(self, x, t, cond=None, *, train: bool = False, features: bool = False):
        self.param("unused", nn.initializers.zeros, ())
        out = jnp.concatenate([x[:, :2], t[:, None]], axis=1)
        return 2 * out if features else out


def task(t):
    schedule = schedules.linear_mix()
    objective = Objective(
        schedule=schedule,
        prediction=predictions.eps(),
        times=times.constant(schedule, t),
        weight=None,
        distance=mse(),
        noise=noises.uniform(),
    )
    return classifier.make(
        First(),
        objective,
        shape=(2,),
        time_feature=inputs.time(),
        sigma_data=0.0,
    )


KEYS = batch_keys(jax.random.key(0), jnp.arange(2), 2)
BATCH = {"x": jnp.array([[1.0, 2.0], [0.0, 0.0]]), "cond": jnp.array([0, 2])}


def losses_of(made):
    params = jax.jit(made.init)(jax.random.key(0))
    return jax.jit(made.loss)(params, KEYS, BATCH, CONTEXT)


def test_cross_entropy_and_accuracy_of_clean_data_by_hand():
    made = task(0.0)
    losses, metrics = losses_of(made)
    # logits (1, 2, 0) of class 0, and (0, 0, 0) of class 2
    expected = [np.log(np.e + np.e**2 + 1) - 1, np.log(3)]
    chex.assert_trees_all_close(losses, np.array(expected), rtol=1e-6)
    chex.assert_trees_all_equal(metrics["accuracy"], np.asarray([0, 0]))


def test_noise_and_time_reach_the_network():
    made = task(0.75)
    classify = made.model(jax.jit(made.init)(jax.random.key(0)))
    logits = classify.logits(jnp.asarray(BATCH["x"]), jnp.asarray(0.75))
    chex.assert_trees_all_close(
        logits, np.asarray([[1, 2, 0.75], [0, 0, 0.75]]), rtol=1e-7
    )
    chex.assert_trees_all_close(
        classify.features(jnp.asarray(BATCH["x"]), jnp.full(2, 0.5)),
        np.asarray([[2, 4, 1], [0, 0, 1]]),
        rtol=1e-7,
    )
    # x_t = x0 / 4 + 3/4 u with u in [0, 1]: the second row has no signal, only noise
    losses, _ = losses_of(made)
    low = np.log(1 + 1 + np.exp(0.75)) - 0.75
    high = np.log(2 * np.exp(0.75) + np.exp(0.75)) - 0.75
    assert low < losses[1] < high


def test_the_model_is_a_value(traced_once):
    def both(classify, x, t):
        return classify.logits(x, t), classify.features(x, t)

    both, x, t = traced_once(both), jnp.asarray(BATCH["x"]), jnp.zeros(())
    for value in (0.0, 1.0):
        made = task(0.0)  # as each run makes its own
        assert made.kind == "classifier"
        logits, features = both(made.model({"unused": jnp.asarray(value)}), x, t)
        chex.assert_trees_all_close(features, 2 * logits, rtol=1e-7)
        chex.assert_shape(logits, (2, 3))
