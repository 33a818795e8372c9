"""The autoencoder's loss by hand, with networks that can be followed."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.stats import norm

from jaxdiff.diffusion import likelihood
from jaxdiff.diffusion.losses import mae, mse
from jaxdiff.models import autoencoder as network
from jaxdiff.rng import batch_keys
from jaxdiff.tasks import autoencoder
from jaxdiff.train.step import Context

CONTEXT = Context(jnp.zeros((), jnp.int32), None, None)


class Halves(nn.Module):
    """Keeps half of every number: mean = x / 2, decoded z; log_var a parameter's."""

    noisy: bool
    level: float = -2.0

    def setup(self):
        self.log_var = self.param("log_var", nn.initializers.constant(self.level), ())

    def encode(self, x):
        return x / 2, jnp.full_like(x, self.log_var) if self.noisy else None

    def decode(self, z):
        return z

    def __call__(self, x):
        return self.decode(self.encode(x)[0])


X = jnp.array([[1.0, -2.0], [3.0, 0.0], [0.5, 0.5]])


def value(task, x=X, seed=0, total=None):
    keys = batch_keys(jax.random.key(seed), jnp.arange(len(x)), total or len(x))
    params = jax.jit(task.init)(jax.random.key(0))
    return jax.jit(task.loss)(params, keys, {"x": x}, CONTEXT)


def make(noisy, kl_weight=0.0, distance=None, level=-2.0):
    return autoencoder.make(
        Halves(noisy, level),
        shape=(2,),
        kl_weight=kl_weight,
        distance=distance or mse(),
    )


def test_a_plain_ones_loss_is_half_the_summed_error():
    losses, metrics = value(make(noisy=False))
    # the error is x / 2: (.25 + 1) / 2, 2.25 / 2, (.0625 + .0625) / 2
    chex.assert_trees_all_close(losses, np.asarray([0.625, 1.125, 0.0625]), rtol=1e-7)
    assert set(metrics) == {"reconstruction"}
    chex.assert_trees_all_close(metrics["reconstruction"], losses, rtol=1e-7)


def test_the_distance_is_the_configs():
    losses, _ = value(make(noisy=False, distance=mae()))
    chex.assert_trees_all_close(losses, np.asarray([0.75, 0.75, 0.25]), rtol=1e-7)


def test_the_kl_is_the_closed_form_and_weighted():
    mean, var = np.asarray(X) / 2, np.exp(-2.0)
    by_hand = ((mean**2 + var - 1 + 2.0) / 2).sum(1)
    for weight in (0.5, 3.0):
        losses, metrics = value(make(True, weight))
        chex.assert_trees_all_close(metrics["kl"], by_hand, rtol=1e-6)
        want = metrics["reconstruction"] + weight * by_hand
        chex.assert_trees_all_close(losses, want, rtol=1e-6)


def test_the_noise_has_the_encoders_variance():
    """E (z - x)^2 / 2 = (mean error^2 + var) / 2 of each of the two numbers."""
    n, var = 20_000, 0.25
    x = jnp.tile(X[:1], (n, 1))
    _, metrics = value(make(True, level=float(np.log(var))), x)
    got = np.asarray(metrics["reconstruction"])
    want = 0.625 + 2 * var / 2
    assert abs(got.mean() - want) < 5 * got.std() / n**0.5
    assert len(np.unique(got)) > 0.9 * n  # each draws its own


@pytest.fixture(scope="module")
def tiny():
    net = network.make(
        shape=(4, 4, 1),
        variational=True,
        channels=4,
        multipliers=(1, 2),
        latent_size=2,
        latent_channels=0,
    )
    return autoencoder.make(net, shape=(4, 4, 1), kl_weight=1.0, distance=mse())


def test_an_examples_loss_is_its_own_whatever_the_batch(tiny):
    params = jax.jit(tiny.init)(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (6, 4, 4, 1))
    key, index = jax.random.key(2), jnp.arange(6)

    def losses_of(key, index):
        keys = batch_keys(key, index, 6)
        return jax.jit(tiny.loss)(params, keys, {"x": x[index]}, CONTEXT)[0]

    losses, part = losses_of(key, index), jnp.array([4, 1])
    chex.assert_trees_all_close(losses_of(key, part), losses[part], rtol=1e-5)
    other = losses_of(jax.random.key(3), index)
    assert (other != losses).all()


def test_every_parameter_learns_but_those_behind_zeros(tiny):
    params = jax.jit(tiny.init)(jax.random.key(0))
    # residual blocks end in zeros at first, which stops what lies before them
    params = jax.tree.map(lambda a: a + 0.01, params)
    x = jax.random.normal(jax.random.key(1), (3, 4, 4, 1))
    keys = batch_keys(jax.random.key(2), jnp.arange(3), 3)

    def mean(params):
        return tiny.loss(params, keys, {"x": x}, CONTEXT)[0].mean()

    grads = jax.jit(jax.grad(mean))(params)
    chex.assert_tree_all_finite(grads)
    for path, g in jax.tree_util.tree_leaves_with_path(grads):
        assert np.abs(g).max() > 0, path


def test_a_coder_is_a_value(tiny, traced_once):
    """Coders of other parameters share a compilation."""

    def there_and_back(coder, x):
        return coder.decode(coder.encode(x)[0])

    there_and_back = traced_once(there_and_back)
    params = jax.jit(tiny.init)(jax.random.key(0))
    x = jnp.ones((1, 4, 4, 1))
    outs = [
        there_and_back(tiny.model(jax.tree.map(lambda a, s=s: s * a, params)), x)
        for s in (1.0, 2.0)
    ]
    chex.assert_equal_shape([x, *outs])
    assert not np.allclose(outs[0], outs[1])
    assert tiny.kind == "autoencoder"


def test_the_share_of_the_likelihood_beside_the_codes_density():
    """x ~ N(0, 1), z | x ~ N(x, v): with the true decoder N(z / (1 + v), v / (1 + v))
    and p(z) = N(0, 1 + v) equation 4 is an equality for every z.
    """
    v = 0.3
    coder = autoencoder.Coder(
        Partial(lambda x: (x, jnp.full_like(x, np.log(v)))),
        Partial(lambda z: z / (1 + v)),
    )
    x = jnp.linspace(-2, 2, 12).reshape(4, 3)
    keys, log_std = jax.random.split(jax.random.key(0), 4), 0.5 * np.log(v / (1 + v))
    part = autoencoder.share(keys, coder, x, likelihood.density(), log_std)
    assert np.std(part.z - x) == pytest.approx(v**0.5, rel=0.5)
    codes = -norm.logpdf(part.z, scale=(1 + v) ** 0.5).sum(1)
    truth = -norm.logpdf(x).sum(1)
    total = codes + part.decoder + part.encoder
    chex.assert_trees_all_close(total, truth, rtol=1e-5)
    plain = coder._replace(encode=Partial(lambda x: (x, None)))
    with pytest.raises(ValueError, match="no density"):
        autoencoder.share(keys, plain, x, likelihood.density(), log_std)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="kl_weight must be at least 0, got -1"):
        make(True, -1.0)
