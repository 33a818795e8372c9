"""The test for copies, against counts by hand and against draws."""

import numpy as np
import pytest

from jaxdiff.metrics import copies


def test_the_counts_by_hand():
    baseline = np.arange(1.0, 40.0)  # 39: the second smallest is at 5 % of 40
    samples = np.array([0.5, 1.5, 2.5, 3.0])
    result = copies.compare(samples, baseline)
    assert result.threshold == 2.0 and result.expected == 2 / 40
    assert result.share == 0.5 and result.error == 0.25
    # of 4 x 39 pairs, nearer: 39, 38, 37, and 36 and half of one tie
    assert result.auc == pytest.approx((39 + 38 + 37 + 36.5) / 156)
    # two of four below the second of 39: the places of all 43 are equally likely
    assert result.p == pytest.approx(_by_counting(2, 4, 39, 2))
    assert not result.copies


def _by_counting(k, n, m, r):
    """P(k or more of n are before the r-th of m), over all orders of both."""
    from math import comb

    def exactly(j):
        return comb(r - 1 + j, j) * comb(m - r + n - j, n - j) / comb(n + m, n)

    return sum(exactly(j) for j in range(k, n + 1))


def test_copies_are_seen_beside_held_out_duplicates():
    """Six of 100 held-out examples are training examples: r is 6, not 5."""
    baseline = np.concatenate([np.zeros(6), np.ones(94)])
    result = copies.compare(np.zeros(500), baseline)
    assert result.expected == 6 / 101 and result.share == 1 and result.copies
    alike = copies.compare(np.repeat(baseline, 5), baseline)
    assert not alike.copies and alike.share == 0.06
    assert copies.compare(np.ones(500), baseline).p <= 1


def test_exact_copies_are_copies_and_more_of_the_same_are_not():
    rng = np.random.default_rng(0)
    baseline = rng.gamma(5.0, size=400)
    copied = copies.compare(rng.gamma(5.0, size=100) / 50, baseline)
    assert copied.copies and copied.share == 1 and 0 < copied.p < 1e-50
    alike = copies.compare(rng.gamma(5.0, size=100), baseline)
    assert not alike.copies and 0.4 < alike.auc < 0.6


def test_p_is_right_for_alike_sets_and_a_little_nearer_is_no_copy():
    rng = np.random.default_rng(1)
    below = [
        copies.compare(rng.random(40), rng.random(60)).p <= 0.1 for _ in range(500)
    ]
    assert np.mean(below) < 0.1 + 3 * np.sqrt(0.09 / 500)
    # many samples make any difference significant, and this one is small
    nearer = copies.compare(0.97 * rng.random(200_000), np.linspace(0, 1, 10_001))
    assert nearer.share > nearer.expected and not nearer.copies


@pytest.mark.parametrize(
    ("n", "m", "enough"), [(1, 400, False), (3, 400, True), (100, 1, False)]
)
def test_too_few_to_be_copies_is_noticed(n, m, enough):
    # at best p = 20 / 401 of one sample, about its cube of three, and 1/2 is not < 1/2
    result = copies.compare(np.zeros(n), np.arange(1.0, m + 1))
    assert result.enough == enough == result.copies


@pytest.mark.parametrize(("n", "m"), [(0, 5), (5, 0)])
def test_no_distances_are_refused(n, m):
    with pytest.raises(ValueError, match=f"got {n} and {m}"):
        copies.compare(np.ones(n), np.ones(m))
