"""The Frechet distance between normal distributions fitted to two sets of features.

(1)  d^2 = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)
(2)  tr (C1^1/2 C2 C1^1/2)^1/2 = the sum of the singular values of C1^1/2 C2^1/2

With Inception's features this is FID. Equation 2 needs only the square roots of two
symmetric matrices, which are real even if the covariances are singular. The estimate is
biased: it falls with the number of rows, so only distances of equal counts can be
compared. `kernel.py` has an estimate without bias.
Source: Heusel et al. 2017, arXiv:1706.08500; Dowson & Landau 1982.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from jaxdiff.arrays import require


class Moments(NamedTuple):
    """The moments of a set of features.

    count:   number of rows
    mean:    f64[d]
    scatter: f64[d, d], the sum of (x - mean)(x - mean)' over the rows
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray


def fit(features: np.ndarray) -> Moments:
    """The moments of features f[n, d], n >= 1, summed in float64.

    Errors: ValueError for another shape, and for features that are not finite.
    """
    require(
        np.ndim(features) == 2 and min(np.shape(features)) >= 1,
        f"features must be (rows, d), got shape {np.shape(features)}",
    )
    x = np.asarray(features, np.float64)
    bad = ~np.isfinite(x).all(1)
    require(
        not bad.any(),
        f"features must be finite, got NaN or infinity in {bad.sum()} of {len(x)} "
        f"rows, first in row {bad.argmax()}: look at the images they are of",
    )
    mean = x.mean(0)
    off = x - mean
    return Moments(len(x), mean, off.T @ off)


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of the rows of both sets.

    S = S_a + S_b + (m_b - m_a)(m_b - m_a)' n_a n_b / n

    Errors: ValueError for features of different width.
    Source: Chan, Golub & LeVeque 1979, "Updating formulae", eq. 2.1 in matrices.
    """
    _check(a, b)
    count = a.count + b.count
    off, share = b.mean - a.mean, b.count / count
    between = np.outer(off, off) * (a.count * share)
    return Moments(count, a.mean + off * share, a.scatter + b.scatter + between)


def gather(parts: Iterable[np.ndarray]) -> Moments:
    """The moments of all rows of parts f[n_i, d], with one part in memory at a time.

    Errors: ValueError if there is no part, and as for `fit` and `merge`.
    """
    fitted = (fit(part) for part in parts)
    first = next(fitted, None)
    if first is None:
        raise ValueError("no features to take moments of")
    return reduce(merge, fitted, first)


def splits(parts: Sequence[Moments]) -> list[tuple[Moments, Moments]]:
    """The moments of the first i parts and of the others, for i = 1 ... n - 1."""
    return [
        (reduce(merge, parts[:i]), reduce(merge, parts[: i - 1 : -1]))
        for i in range(1, len(parts))
    ]


def distance(a: Moments, b: Moments) -> float:
    """d^2 of equation 1, in the square of the features' unit; covariances use n - 1.

    Errors: ValueError for fewer than two rows, or features of different width.
    """
    _check(a, b)
    require(
        min(a.count, b.count) >= 2,
        f"a covariance needs at least 2 rows, got {a.count} and {b.count}",
    )
    of_a, of_b = (m.scatter / (m.count - 1) for m in (a, b))
    across = np.linalg.svd(_root(of_a) @ _root(of_b), compute_uv=False).sum()
    off = a.mean - b.mean
    # rounding may make the distance of a distribution to itself slightly negative
    return max(0.0, float(off @ off + np.trace(of_a) + np.trace(of_b) - 2 * across))


def too_few(rows: int, width: int) -> str:
    """A warning if so many rows cannot span a covariance of `width` features, or ""."""
    if rows > width:
        return ""
    return (
        f"warning: {rows} images span no covariance of {width} features; the Frechet "
        f"distance is far too large. Take {width + 1} or more, better thousands."
    )


def _root(cov):
    """The symmetric square root; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(cov)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _check(a, b):
    require(
        a.mean.shape == b.mean.shape,
        "features must be of one width to be compared, got "
        f"{a.mean.size} and {b.mean.size}: take both from one classifier",
    )
