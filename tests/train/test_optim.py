"""Clipping and the global norm beside optax's."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdiff.train import optim


def tree(scale=1.0):
    """Leaves below and above the size that is summed by itself, and a number."""
    rng = np.random.default_rng(0)
    shapes = {"bias": (7,), "kernel": (3, 3, 64, 64), "row": (optim.LARGE,), "one": ()}
    draw = lambda shape: jnp.asarray(scale * rng.normal(size=shape), jnp.float32)  # noqa: E731
    return {name: draw(shape) for name, shape in shapes.items()}


def test_the_norm_is_that_of_all_leaves_as_one_vector():
    leaves = [np.asarray(a, np.float64).ravel() for a in jax.tree.leaves(tree())]
    want = np.linalg.norm(np.concatenate(leaves))
    chex.assert_trees_all_close(optim.global_norm(tree()), np.float32(want), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-4, 1.0])
def test_clipping_is_optax_s(scale):
    """Below the norm nothing changes; above it, the direction stays."""
    ours, theirs = (
        optim.clipped(optax.sgd(1.0), 1.0),
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0)),
    )
    grads = tree(scale)
    state = ours.init(grads)
    chex.assert_trees_all_equal_structs(state, theirs.init(grads))
    got, want = (tx.update(grads, state)[0] for tx in (ours, theirs))
    chex.assert_trees_all_close(got, want, rtol=1e-5)
    norm = float(optax.tree.norm(got))
    assert norm == pytest.approx(min(1.0, float(optax.tree.norm(grads))), rel=1e-5)
    if scale < 1:
        chex.assert_trees_all_equal(got, jax.tree.map(jnp.negative, grads))


def test_no_leaves_have_norm_0_and_every_leaf_keeps_its_dtype():
    assert optim.global_norm({}) == 0
    grads = {"a": jnp.ones(4, jnp.bfloat16), "b": jnp.ones(4)}
    tx = optim.clipped(optax.identity(), 1.0)
    clipped, _ = tx.update(grads, tx.init(grads))
    chex.assert_trees_all_equal_dtypes(clipped, grads)


def test_clipping_takes_only_a_positive_norm_and_0_is_off():
    tx = optax.sgd(1.0)
    assert optim.clipped(tx, 0.0) is tx
    with pytest.raises(ValueError, match="clip_norm must be >= 0"):
        optim.clipped(tx, -1.0)
