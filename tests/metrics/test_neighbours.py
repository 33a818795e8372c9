"""Balls counted one by one, and what sets of one law give on average."""

import numpy as np
import pytest

from jaxdiff.metrics.neighbours import density_coverage, precision_recall


def holds(centres, i, k, point):
    others = sorted(np.linalg.norm(centres - centres[i], axis=1))  # itself is first
    return np.linalg.norm(point - centres[i]) <= others[k]


def by_hand(real, made, k):
    def share(points, centres):
        n = range(len(centres))
        return np.mean([any(holds(centres, i, k, p) for i in n) for p in points])

    n = range(len(real))
    density = np.mean([sum(holds(real, i, k, y) for i in n) for y in made]) / k
    coverage = np.mean([any(holds(real, i, k, y) for y in made) for i in n])
    return share(made, real), share(real, made), density, coverage


@pytest.mark.parametrize("k", [1, 3])
def test_equals_counting(k):
    rng = np.random.default_rng(k)
    real, made = rng.normal(size=(13, 2)), rng.normal(0.8, 0.6, size=(9, 2))
    result = (*precision_recall(real, made, k), *density_coverage(real, made, k))
    np.testing.assert_allclose(result, by_hand(real, made, k), rtol=1e-12)
    assert 0 < result[0] < 1 and result[0] != result[1]


def test_numbers_small_enough_for_paper():
    real = np.array([[0.0], [1.0], [5.0]])  # radii for k = 1: 1, 1, 4
    made = np.array([[1.5], [20.0]])  # in the balls of 1 and 5; radii 18.5
    assert precision_recall(real, made, 1) == (0.5, 1.0)
    assert density_coverage(real, made, 1) == (1.0, 2 / 3)


def test_sets_of_one_law_match_the_lemma():
    rng, n, k = np.random.default_rng(0), 40, 5
    draws = np.array(
        [density_coverage(*rng.normal(size=(2, n, 3)), k) for _ in range(300)]
    )
    i = np.arange(1, k + 1)
    expected = 1.0, 1 - np.prod((n - i) / (2 * n - i))
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - expected) < 4 * error).all()


def test_what_is_missing_lowers_recall_and_what_is_wrong_precision():
    rng = np.random.default_rng(3)
    real = rng.normal(size=(400, 2)) + rng.choice([-8, 8], (400, 1))
    one_mode, wild = rng.normal(size=(400, 2)) + 8, 30 * rng.normal(size=(400, 2))
    precise, wide = precision_recall(real, one_mode), precision_recall(real, wild)
    assert precise.precision > 0.8 and precise.recall < 0.6
    assert wide.precision < 0.2


@pytest.mark.parametrize("d", [2, 64, 512])
def test_rounding_decides_nothing_at_the_surface(d):
    """A set beside itself: each ball holds its centre and k others."""
    rng, k = np.random.default_rng(d), 5
    x = rng.normal(size=(60, d))
    assert precision_recall(x, x.copy(), k) == (1, 1)
    assert density_coverage(x, x.copy(), k) == (pytest.approx((k + 1) / k), 1)
    point = np.repeat(rng.normal(size=(1, d)), 20, axis=0)
    assert precision_recall(point, point[:10], k) == (1, 1)
    assert density_coverage(point, point[:10], k) == (20 / k, 1)


def test_mistakes():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match="k=3 nearest others need at least 4 rows"):
        precision_recall(x, x)
    with pytest.raises(ValueError, match="same d"):
        density_coverage(x, np.zeros((3, 1)), 1)
