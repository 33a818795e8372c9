"""Masses moved by known amounts."""

import numpy as np
import pytest

from jaxdiff.metrics.transport import columns, correlation_gap, sliced


def test_a_shift_costs_its_length_along_each_direction():
    x, shift = np.random.default_rng(0).normal(size=(50, 3)), np.array([0.0, 3.0, 4.0])
    # of 5, seen along a uniform direction in space: half of it on average
    assert sliced(x, x + shift, num=4000) == pytest.approx(2.5, rel=0.03)
    assert sliced(x, x) == 0
    assert sliced(x, x + 2 * shift) == pytest.approx(2 * sliced(x, x + shift))


def test_columns_are_in_deviations_and_shares():
    number, text = np.array([0.0, 2.0, 4.0]), np.array(["a", "a", "b"])
    real = {"number": number, "text": text}
    made = {"number": number + 1, "text": np.array(["a", "c", "c"])}
    result = columns(real, made)
    assert result["number"] == pytest.approx(1 / number.std())
    assert result["text"] == pytest.approx(2 / 3)
    assert columns(real, real) == {"number": 0, "text": 0}


def test_a_constant_column_is_compared_as_text_is():
    same, other = np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 2.5])
    made = {"a": same, "b": other}
    result = columns({"a": same, "b": same}, made)
    assert result["a"] == 0 and result["b"] == pytest.approx(2 / 3)
    # the correlation of a constant is 0, and that of b with itself moved is 1
    real = {"a": other, "b": other}
    assert correlation_gap(real, made) == pytest.approx(1.0)


def test_correlations_of_tables_by_hand():
    x = np.arange(4.0)
    real = {"a": x, "b": x, "c": -x}  # correlations 1, -1, -1
    made = {"a": x, "b": -x, "c": -x}  # -1, -1, 1
    assert correlation_gap(real, made) == pytest.approx((2 + 0 + 2) / 3)


def test_mistakes():
    with pytest.raises(ValueError, match="same d"):
        sliced(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="the same columns"):
        columns({"a": np.zeros(2)}, {"b": np.zeros(2)})
    with pytest.raises(ValueError, match="two columns of numbers"):
        correlation_gap({"a": np.zeros(2)}, {"a": np.zeros(2)})
