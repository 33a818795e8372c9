"""Two-sample accuracy and train-on-generated where the answer is known."""

import numpy as np

from jaxdiff.metrics.two_sample import (
    as_features,
    table_accuracy,
    train_on_generated,
    two_sample_accuracy,
)


def test_rows_of_one_law_cannot_be_separated():
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, 150, 3))
    # 300 fair coin tosses have a standard error of .029
    assert abs(two_sample_accuracy(real, generated) - 0.5) < 4 * 0.029


def test_disjoint_rows_always_can():
    rng = np.random.default_rng(0)
    real = rng.uniform(0, 1, size=(60, 2))
    assert two_sample_accuracy(real, real + 2.0) == 1.0


def test_half_of_the_rows_displaced_costs_half_of_the_doubt():
    """Displaced rows are always found; of the rest (2 real to 1 generated) 2/3 are."""
    rng = np.random.default_rng(0)
    real, generated = rng.uniform(0, 1, size=(2, 400, 2))
    generated[:200] += 2.0
    best = 200 / 800 + 600 / 800 * 2 / 3
    assert 0.55 < two_sample_accuracy(real, generated) <= best + 0.04


def test_tables_of_other_lengths_are_cut_to_one():
    """Of 60 equal rows and 180: all would be classified by their number alone."""
    rng = np.random.default_rng(0)
    real, generated = ({"a": rng.normal(size=n)} for n in (60, 180))
    assert abs(table_accuracy(real, generated) - 0.5) < 4 * 0.046
    apart = {"a": generated["a"] + 100.0}
    assert table_accuracy(real, apart) == table_accuracy(apart, real) == 1.0


def test_a_forest_taught_on_generated_rows_is_marked_on_real_ones():
    x = np.linspace(0, 1, 80)[:, None]
    label = (x[:, 0] > 0.5).astype(int)
    assert train_on_generated(x, label, x, label) == 1.0
    assert train_on_generated(x, 1 - label, x, label) == 0.0


def test_text_becomes_the_same_number_in_both_tables():
    a = {"n": np.array([1.0, 2.0]), "kind": np.array(["b", "a"])}
    b = {"n": np.array([3.0]), "kind": np.array(["c"])}
    first, second = as_features(a, b)
    np.testing.assert_array_equal(first, [[1, 1], [2, 0]])
    np.testing.assert_array_equal(second, [[3, 2]])
