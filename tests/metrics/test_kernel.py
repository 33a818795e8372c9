"""KID: a double loop, no bias, and a shift that is known on paper."""

import numpy as np
import pytest

from jaxdiff.metrics.kernel import block_mmd, kid, squared_mmd


def by_hand(x, y):
    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(rows):
        n = len(rows)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        return sum(k(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    across = sum(k(a, b) for a in x for b in y) / (len(x) * len(y))
    return within(x) + within(y) - 2 * across


def test_equals_a_double_loop():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(0.5, 2, size=(5, 3))
    assert squared_mmd(x, y) == pytest.approx(by_hand(x, y), rel=1e-12)
    assert squared_mmd(y, x) == pytest.approx(squared_mmd(x, y), rel=1e-12)


def test_numbers_small_enough_for_paper():
    # d = 1: k(0, 1) = 1 within x, k(1, 1) = 8 within y, across (1 + 1 + 8 + 8) / 4
    assert squared_mmd(np.array([[0.0], [1.0]]), np.ones((2, 1))) == 0.0
    # k(0, 0) = 1, k(1, 1) = 8, k(0, 1) = 1
    assert squared_mmd(np.zeros((2, 1)), np.ones((2, 1))) == 7.0


def test_no_bias_between_sets_of_one_law():
    """The mean of 400 draws is 0 within its own standard error."""
    rng = np.random.default_rng(1)
    draws = [squared_mmd(*rng.normal(size=(2, 20, 4))) for _ in range(400)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws)) < 4 * error
    assert min(draws) < 0  # without bias it has to fall on both sides


def test_blocks_estimate_a_known_distance_with_a_true_error():
    """x ~ N(0, 1), y ~ N(m, 1) of one feature: k = 1 + 3xy + 3(xy)^2 + (xy)^3.

    E k(x, y) = 1 + 3 ab + 3 a2 b2 + a3 b3 with a, a2, a3 the moments of each law, so
    mmd2 = 3 (m)^2 + 3 (m^2)^2 + (m^3 + 3m)^2 for moments (0, 1, 0), (m, 1+m^2, m^3+3m).
    """
    m, rng = 0.3, np.random.default_rng(2)
    truth = 3 * m**2 + 3 * m**4 + (m**3 + 3 * m) ** 2
    off = []
    for seed in range(60):
        x, y = rng.normal(size=(400, 1)), rng.normal(m, 1, size=(450, 1))
        estimate = block_mmd(x, y, size=20, seed=seed)
        assert estimate.blocks == 20
        off.append((estimate.value - truth) / estimate.error)
    # as many errors away as a t law of 19 degrees is: its deviation is 1.06
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(60)
    assert 0.7 < np.std(off) < 1.6


def test_blocks_share_no_row():
    """Each row's value appears in one block: x of constant rows per block size 2."""
    x = np.arange(8.0)[:, None]
    estimate = block_mmd(x, x, size=2, seed=3)
    rng = np.random.default_rng(3)
    a, b = (x[rng.permutation(8)].reshape(4, 2, 1) for _ in range(2))
    values = [by_hand(p, q) for p, q in zip(a, b, strict=True)]
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.error == pytest.approx(np.std(values, ddof=1) / 2)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((4, 2), (4, 3)), "same d"),
        (((4,), (4,)), "same d"),
        (((1, 2), (4, 2)), "at least 2 rows"),
    ],
)
def test_refuses(shapes, words):
    with pytest.raises(ValueError, match=words):
        squared_mmd(*(np.zeros(s) for s in shapes))


def test_blocks_need_two():
    with pytest.raises(ValueError, match="at least 20 rows"):
        block_mmd(np.zeros((19, 2)), np.zeros((30, 2)), size=10)
    with pytest.raises(ValueError, match="size=1"):
        block_mmd(np.zeros((19, 2)), np.zeros((30, 2)), size=1)


def test_kid_does_not_depend_on_the_features_scale():
    x, y = np.random.default_rng(0).normal(size=(2, 60, 4))
    x = x + 0.5
    once, scaled = (kid(a * x, a * y, 0) for a in (1, 40))
    assert scaled["kid"] == pytest.approx(once["kid"], rel=1e-6)
    assert once["kid_error"] > 0
    plain = block_mmd(x, y, once["kid_block"], 0)
    assert kid(x, y, rescale=False)["kid"] == pytest.approx(plain.value)
    assert kid(x[:3], y)["kid"] is None
