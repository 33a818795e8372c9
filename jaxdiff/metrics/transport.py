"""Wasserstein distances on a line: of projections, and of the columns of a table.

(1)  W1(a, b) = integral of |F_a - F_b|, how far the mass of a must move to become b
(2)  sliced = mean over directions v, uniform on the sphere, of W1(x.v, y.v)
(3)  of a numeric column: W1 divided by the real column's standard deviation; of text,
     and where the real column is constant: the share of rows that would have to change
     (total variation)
Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters".
"""

import numpy as np
import scipy

from jaxdiff.arrays import require
from jaxdiff.metrics.kernel import check_pair
from jaxdiff.metrics.two_sample import Columns


def sliced(x: np.ndarray, y: np.ndarray, num: int = 200, seed: int = 0) -> float:
    """The sliced distance, equation 2, of f[n, d] and f[m, d] over `num` directions.

    Errors: ValueError for other shapes.
    """
    check_pair(x, y)
    v = np.random.default_rng(seed).normal(size=(np.shape(x)[1], num))
    v /= np.linalg.norm(v, axis=0)
    projected = (np.asarray(a, np.float64) @ v for a in (x, y))
    pairs = zip(*(p.T for p in projected), strict=True)
    return float(np.mean([scipy.stats.wasserstein_distance(a, b) for a, b in pairs]))


def columns(real: Columns, generated: Columns) -> dict[str, float]:
    """The distance of each column, equation 3; 0 means the same distribution.

    Errors: ValueError for tables with different columns.
    """
    require(
        [*real] == [*generated],
        f"tables must have the same columns, got {[*real]} and {[*generated]}",
    )
    return {name: _column(real[name], generated[name]) for name in real}


def correlation_gap(real: Columns, generated: Columns) -> float:
    """The mean |difference| between the correlations of all pairs of numeric columns.

    A constant column has the correlation 0 with every other.
    Errors: ValueError for fewer than two numeric columns.
    """
    names = [name for name, v in real.items() if np.asarray(v).dtype.kind in "fiu"]
    require(len(names) >= 2, f"correlations need two columns of numbers, got {names}")
    of_real, of_generated = (
        _correlations(np.array([table[name] for name in names], np.float64))
        for table in (real, generated)
    )
    pairs = np.triu_indices(len(names), 1)
    return float(np.abs(of_real - of_generated)[pairs].mean())


def _correlations(rows):
    apart = rows - rows.mean(axis=1, keepdims=True)
    apart[rows.min(axis=1) == rows.max(axis=1)] = 0  # rounding aside
    lengths = np.linalg.norm(apart, axis=1, keepdims=True)
    units = apart / np.where(lengths > 0, lengths, 1)
    return units @ units.T


def _column(real, generated):
    real, generated = np.asarray(real), np.asarray(generated)
    if real.dtype.kind in "fiu" and real.std() > 0:
        return float(scipy.stats.wasserstein_distance(real, generated) / real.std())
    values = np.union1d(real, generated)
    shares = [(a[:, None] == values).mean(axis=0) for a in (real, generated)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
