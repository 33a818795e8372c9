"""The Frechet distance: closed forms, another root of matrices, and streams."""

import numpy as np
import pytest
import scipy.linalg

from jaxdiff.metrics.frechet import Moments, distance, fit, gather, merge, splits


def normal(mean, cov, count=10):
    """Moments whose covariance is exactly `cov`."""
    mean = np.asarray(mean, np.float64)
    return Moments(count, mean, np.asarray(cov, np.float64) * (count - 1))


def spread(rng, d, rank=None):
    factor = rng.normal(size=(d, rank or d))
    return factor @ factor.T


@pytest.mark.parametrize("d", [1, 3, 40])
def test_of_diagonal_normals(d):
    rng = np.random.default_rng(d)
    m1, m2 = rng.normal(size=(2, d))
    s1, s2 = rng.uniform(0.0, 3.0, size=(2, d))
    result = distance(normal(m1, np.diag(s1**2)), normal(m2, np.diag(s2**2), 17))
    assert result == pytest.approx(((m1 - m2) ** 2 + (s1 - s2) ** 2).sum(), rel=1e-10)


@pytest.mark.parametrize("commute", [True, False])
def test_agrees_with_scipys_matrix_root(commute):
    rng = np.random.default_rng(0)
    m1, m2 = rng.normal(size=(2, 12))
    c1 = spread(rng, 12)
    c2 = 3 * c1 + 2 * np.eye(12) + c1 @ c1 if commute else spread(rng, 12)
    assert commute == np.allclose(c1 @ c2, c2 @ c1)
    root = np.real(scipy.linalg.sqrtm(c1 @ c2))
    truth = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * root)
    result = distance(normal(m1, c1), normal(m2, c2))
    assert result == pytest.approx(truth, rel=1e-6)
    assert distance(normal(m2, c2), normal(m1, c1)) == pytest.approx(result, rel=1e-9)


def test_of_singular_covariances():
    """Laws on lines: of one line they are normals of one number; crossing at a right
    angle nothing is shared, and both traces count in full."""
    u, v = np.eye(5)[:2]
    along, across = np.outer(u, u), np.outer(v, v)
    zero = np.zeros(5)
    assert distance(normal(zero, 9 * along), normal(u, 4 * along)) == pytest.approx(2)
    assert distance(normal(zero, 9 * along), normal(zero, 4 * across)) == (
        pytest.approx(13)
    )
    assert distance(normal(zero, 0 * along), normal(zero, 4 * across)) == (
        pytest.approx(4)
    )


def test_of_fewer_rows_than_numbers():
    """Rotated, so that no zero of the covariance is exact: nothing changes."""
    rng = np.random.default_rng(1)
    x, y = np.zeros((2, 8, 30))
    x[:, :4], y[:, 2:6] = rng.normal(size=(2, 8, 4))
    turn = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    flat = distance(fit(x[:, :6]), fit(y[:, :6]))
    assert distance(fit(x @ turn), fit(y @ turn)) == pytest.approx(flat, rel=1e-6)


@pytest.mark.parametrize("rank", [None, 3])
def test_of_a_thing_with_itself_is_nothing(rank):
    moments = normal(np.ones(20), 100 * spread(np.random.default_rng(2), 20, rank))
    assert 0 <= distance(moments, moments) < 1e-9 * np.trace(moments.scatter)


def test_a_stream_is_one_shot():
    """Also far from 0, where sums of squares would lose their digits."""
    x = 1e6 + np.random.default_rng(3).normal(size=(101, 7))
    whole = fit(x)
    np.testing.assert_allclose(whole.scatter, np.cov(x.T) * 100, rtol=1e-9)
    parts = gather([x[:1], x[1:40], x[40:90], x[90:]])
    pair = merge(gather([x[60:]]), gather([x[:10], x[10:60]]))
    for one in (parts, pair):
        assert one.count == 101
        np.testing.assert_allclose(one.mean, whole.mean, rtol=1e-14)
        np.testing.assert_allclose(one.scatter, whole.scatter, rtol=1e-7, atol=1e-6)


def test_splits_are_the_moments_before_and_after_each_cut():
    x = np.random.default_rng(7).normal(1e3, 1.0, size=(30, 3))
    cuts = (4, 11, 20)
    results = splits([fit(part) for part in np.split(x, cuts)])
    assert len(results) == 3
    for cut, pair in zip(cuts, results, strict=True):
        for got, rows in zip(pair, (x[:cut], x[cut:]), strict=True):
            assert got.count == len(rows)
            np.testing.assert_allclose(got.mean, fit(rows).mean, rtol=1e-14)
            np.testing.assert_allclose(got.scatter, fit(rows).scatter, atol=1e-9)


def test_float32_features_are_summed_in_float64():
    x = np.random.default_rng(4).normal(1e3, 1.0, size=(500, 3)).astype(np.float32)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(fit(x).scatter, fit(wide).scatter, rtol=1e-14)


def test_the_estimate_comes_near_the_law():
    """Rows of N(0, I) and of N(1/2, 4 I) in 4 dimensions: 4 (1/4 + 1) = 5."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(20_000, 4)), rng.normal(0.5, 2.0, size=(20_000, 4))
    assert distance(fit(x), fit(y)) == pytest.approx(5.0, rel=0.05)


def test_refuses():
    x = np.random.default_rng(6).normal(size=(6, 3))
    with pytest.raises(ValueError, match="at least 2 rows, got 6 and 1"):
        distance(fit(x), fit(x[:1]))
    for join in (distance, merge):
        with pytest.raises(ValueError, match="one width to be compared, got 3 and 2"):
            join(fit(x), fit(x[:, :2]))
    with pytest.raises(ValueError, match="no features"):
        gather([])
    for shape in ((6,), (0, 3), (6, 0)):
        with pytest.raises(ValueError, match=r"\(rows, d\)"):
            fit(np.zeros(shape))
    for bad in (np.nan, np.inf):
        x[4, 1] = bad
        with pytest.raises(ValueError, match="in 1 of 6 rows, first in row 4"):
            fit(x)
