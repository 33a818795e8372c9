"""Conditions as trees: replaced, dropped, doubled, and taken for class labels."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.diffusion import conditions
from jaxdiff.diffusion.conditions import Beside

B = 6
LABELS = jnp.arange(B, dtype=jnp.int32)
# name -> (the condition of a batch, its null, that null for the batch by hand)
KINDS = {
    "label": (LABELS, 9, jnp.full(B, 9, jnp.int32)),
    "vector": (
        jnp.ones((B, 2)),
        np.array([3.0, 4.0], np.float32),
        jnp.tile(jnp.array([[3.0, 4.0]]), (B, 1)),
    ),
    "sequence": (
        {"tokens": jnp.ones((B, 3, 2)), "mask": jnp.ones((B, 3), bool)},
        {"tokens": 0.0, "mask": False},
        {"tokens": jnp.zeros((B, 3, 2)), "mask": jnp.zeros((B, 3), bool)},
    ),
    "two by name": (
        {"label": LABELS, "vector": jnp.ones((B, 2))},
        {"label": 9, "vector": 0.0},
        {"label": jnp.full(B, 9, jnp.int32), "vector": jnp.zeros((B, 2))},
    ),
    "one that stays": (
        Beside({"label": LABELS}, jnp.ones((B, 2, 2, 1))),
        Beside({"label": 9}, None),
        Beside({"label": jnp.full(B, 9, jnp.int32)}, jnp.ones((B, 2, 2, 1))),
    ),
    "none": (None, None, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_null_and_double_by_hand(kind):
    cond, null, by_hand = KINDS[kind]
    chex.assert_trees_all_equal(conditions.null_like(null, cond), by_hand)
    doubled = jax.jit(conditions.double)(null, cond)
    joined = jax.tree.map(lambda a, b: np.concatenate([a, b]), cond, by_hand)
    chex.assert_trees_all_equal(doubled, joined)
    chex.assert_trees_all_equal_dtypes(doubled, joined)


@pytest.mark.parametrize("kind", KINDS)
def test_a_condition_is_dropped_as_a_whole_by_its_own_key(kind):
    cond, null, by_hand = KINDS[kind]
    keys = jax.random.split(jax.random.key(1), B)
    dropped = np.array([jax.random.uniform(key) < 0.5 for key in keys])
    assert 0 < dropped.sum() < B
    got = jax.jit(conditions.drop)(keys, 0.5, null, cond)
    for i in range(B):
        expected = by_hand if dropped[i] else cond
        row = jax.tree.map(lambda a, i=i: a[i], (got, expected))
        chex.assert_trees_all_equal(*row)
    chex.assert_trees_all_equal(conditions.drop(keys, 0.0, null, cond), cond)


@pytest.mark.parametrize(
    ("null", "cond"),
    [
        (9, None),
        (9, {"label": LABELS}),
        ({"label": 9}, {"vector": jnp.ones((B, 2))}),
        (np.zeros(3, np.float32), jnp.ones((B, 2))),
    ],
)
def test_a_null_that_does_not_match_is_refused(null, cond):
    with pytest.raises(ValueError):
        conditions.null_like(null, cond)


def test_labels_are_found_alone_and_beside_an_image():
    chex.assert_trees_all_equal(conditions.labels_of(LABELS), LABELS)
    beside = Beside(LABELS, jnp.ones((B, 2, 2, 1)))
    chex.assert_trees_all_equal(conditions.labels_of(beside), LABELS)


@pytest.mark.parametrize(
    ("cond", "words"),
    [
        (None, "condition is None"),
        (jnp.ones(B), r"condition is float32\[6\]"),
        (jnp.ones((B, 2), jnp.int32), r"condition is int32\[6, 2\]"),
        ({"label": LABELS}, r"condition is {'label': 'int32\[6\]'}"),
        (Beside(None, jnp.ones((B, 2, 2, 1))), "condition is None"),
    ],
)
def test_other_conditions_than_labels_are_refused(cond, words):
    with pytest.raises(ValueError, match=f"integer class labels.*{words}"):
        conditions.labels_of(cond)
