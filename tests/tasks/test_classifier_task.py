"""The classifier's task: cross-entropy by hand, at the times it is told of."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.diffusion import inputs, noises, predictions, schedules, times
from jaxdiff.diffusion.losses import Objective, mse
from jaxdiff.rng import batch_keys
from jaxdiff.tasks import classifier


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
BATCH = {"x": jnp.array([[1.0, 2.0], [0.0, 0.0]]), "label": jnp.array([0, 2])}


def test_cross_entropy_and_accuracy_of_clean_data_by_hand():
    made = task(0.0)
    losses, metrics = jax.jit(made.loss)(
        jax.jit(made.init)(jax.random.key(0)), KEYS, BATCH
    )
    # logits (1, 2, 0) of class 0, and (0, 0, 0) of class 2
    expected = [np.log(np.e + np.e**2 + 1) - 1, np.log(3)]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_array_equal(metrics["accuracy"], [0, 0])


def test_noise_and_time_reach_the_network():
    made = task(0.75)
    classify = made.model(jax.jit(made.init)(jax.random.key(0)))
    logits = classify.logits(jnp.asarray(BATCH["x"]), jnp.asarray(0.75))
    np.testing.assert_allclose(logits, [[1, 2, 0.75], [0, 0, 0.75]])
    np.testing.assert_allclose(
        classify.features(jnp.asarray(BATCH["x"]), jnp.full(2, 0.5)),
        [[2, 4, 1], [0, 0, 1]],
    )
    # x_t = x0 / 4 + 3/4 u with u in [0, 1]: the second row has no signal, only noise
    losses, _ = jax.jit(made.loss)(jax.jit(made.init)(jax.random.key(0)), KEYS, BATCH)
    low = np.log(1 + 1 + np.exp(0.75)) - 0.75
    high = np.log(2 * np.exp(0.75) + np.exp(0.75)) - 0.75
    assert low < losses[1] < high


def test_the_model_is_a_value():
    made = task(0.0)
    classify = made.model(jax.jit(made.init)(jax.random.key(0)))
    assert made.kind == "classifier"
    x, t = jnp.asarray(BATCH["x"]), jnp.zeros(())
    out = jax.jit(lambda f, x, t: (f.logits(x, t), f.features(x, t)))(classify, x, t)
    np.testing.assert_allclose(out[1], 2 * out[0])
    assert out[0].shape == (2, 3)
