"""Shares of classes against closed forms."""

import numpy as np
import pytest
from scipy import special

from jaxdiff.metrics.shares import entropy, p_value, shares


def test_shares_and_their_binomial_errors():
    value, error = shares(np.array([0, 0, 0, 2]), 3)
    np.testing.assert_allclose(value, [0.75, 0, 0.25])
    np.testing.assert_allclose(error, [np.sqrt(0.75 * 0.25 / 4), 0, error[0]])
    drawn = np.random.default_rng(0).random((4000, 50)) < 0.2
    spread = drawn.mean(1).std()
    assert spread == pytest.approx(shares(drawn[0].astype(int), 2).error[1], rel=0.3)


def test_the_p_value_is_the_chi_squares():
    # two degrees of freedom: p = exp(-chi2 / 2)
    counts, expected = np.array([30, 50, 20]), np.array([0.25, 0.5, 0.25])
    chi2 = 5**2 / 25 + 0 + 5**2 / 25
    assert p_value(counts, expected) == pytest.approx(np.exp(-chi2 / 2))
    # one: the normal's two tails
    p = p_value(np.array([60, 40]), np.array([0.5, 0.5]))
    assert p == pytest.approx(special.erfc(2.0 / np.sqrt(2)))


def test_classes_that_the_data_lack():
    assert p_value(np.array([5, 5, 1]), np.array([0.5, 0.5, 0])) == 0
    assert p_value(np.array([5, 5, 0]), np.array([0.5, 0.5, 0])) == pytest.approx(1)
    assert np.isnan(p_value(np.array([5]), np.array([1.0])))


def test_entropy_in_nats():
    p = np.array([[0.5, 0.5, 0], [1, 0, 0]])
    np.testing.assert_allclose(entropy(p), [np.log(2), 0], atol=1e-12)
