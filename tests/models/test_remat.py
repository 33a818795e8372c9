"""Rematerialisation: the same numbers from less memory, on every platform."""

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxdiff.models import remat, unet

SMALL = {
    "shape": (4, 4, 1),
    "channels": 4,
    "multipliers": (1,),
    "num_blocks": 1,
    "attention": (4,),
    "dropout": 0.1,
}
X = jax.random.normal(jax.random.key(0), (2, 4, 4, 1))
T = jnp.linspace(0.1, 0.9, 2)


def loss_of(how):
    """A loss of a network's parameters, and some of which none is zero."""
    net = unet.make(**SMALL, remat=how)
    shapes = jax.eval_shape(net.init, jax.random.key(1), X, T)
    leaves, tree = jax.tree.flatten(shapes)
    numbers = [jnp.cos(jnp.arange(a.size) + i) for i, a in enumerate(leaves)]
    leaves = [n.reshape(a.shape) for n, a in zip(numbers, leaves, strict=True)]

    def loss(params):
        rngs = {"dropout": jax.random.key(2)}
        return jnp.mean(net.apply(params, X, T, train=True, rngs=rngs) * X)

    return loss, tree.unflatten(leaves)


def test_gradients_are_the_same():
    plain, params = loss_of("none")
    expected = jax.jit(jax.grad(plain))(params)
    for how in ("block", "products"):
        loss, _ = loss_of(how)
        got = jax.jit(jax.grad(loss))(params)
        chex.assert_trees_all_close(got, expected, rtol=1e-3, atol=1e-5)


def test_less_is_kept_for_the_backward_pass():
    """What jax.vjp returns holds the values that it kept."""

    def kept(how):
        loss, params = loss_of(how)
        backward = jax.eval_shape(lambda params: jax.vjp(loss, params)[1], params)
        return sum(leaf.size for leaf in jax.tree.leaves(backward))

    sizes = {how: kept(how) for how in ("none", *remat.POLICIES)}
    assert sizes["block"] < sizes["products"] < sizes["none"], sizes
    assert max(sizes.values()) == sizes["none"]


def test_it_lowers_for_every_platform():
    loss, params = loss_of("products")
    traced = jax.jit(jax.grad(loss)).trace(params)
    assert traced.lower(lowering_platforms=("cpu", "cuda", "tpu")).as_text()


def test_a_policy_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"one of none, block, products, .*'all'"):
        unet.make(**SMALL, remat="all")
