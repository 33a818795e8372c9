"""Fidelity and variety as separate numbers, by nearest neighbours.

B_k(x_i) is the ball around x_i through its k-th nearest neighbour in its own set.

(1)  precision = share of generated y_j in some B_k(x_i), x real
     recall    = share of real x_i in some B_k(y_j)
(2)  density   = mean over j of the number of B_k(x_i) that hold y_j, divided by k
     coverage  = share of B_k(x_i) that hold some y_j

Precision and recall depend on the outliers of both sets; density and coverage use the
balls of the real data only. For two sets of n from one distribution, the expectation of
density is 1 and that of coverage is 1 - (n-1)...(n-k) / ((2n-1)...(2n-k)).
Source: Kynkaanniemi et al. 2019, arXiv:1904.06991, k = 3; Naeem et al. 2020,
arXiv:2002.09797, k = 5, lemma 2.
"""

from typing import NamedTuple

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.metrics.kernel import check_pair


class PrecisionRecall(NamedTuple):
    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    density: float
    coverage: float


def precision_recall(
    real: np.ndarray, generated: np.ndarray, k: int = 3
) -> PrecisionRecall:
    """Precision and recall, equation 1, of features f[n, d] and f[m, d].

    Errors: ValueError for other shapes, or for sets of k rows or fewer.
    """
    return PrecisionRecall(
        float((_holding(real, generated, k)[0] > 0).mean()),
        float((_holding(generated, real, k)[0] > 0).mean()),
    )


def density_coverage(
    real: np.ndarray, generated: np.ndarray, k: int = 5
) -> DensityCoverage:
    """Density and coverage, equation 2, of features f[n, d] and f[m, d].

    Errors: ValueError for other shapes, or for a real set of k rows or fewer.
    """
    balls, held = _holding(real, generated, k)
    return DensityCoverage(float(balls.mean() / k), float(held.mean()))


def _holding(centres, points, k):
    """How many balls hold each point, i64[points]; which hold any, bool[centres]."""
    from sklearn.metrics import pairwise_distances_chunked  # slow to import

    centres, points = (np.asarray(a, np.float64) for a in (centres, points))
    check_pair(centres, points)
    require(
        1 <= k < len(centres),
        f"k={k} nearest others need at least {k + 1} rows, got {len(centres)}",
    )
    centres, points = centres - centres.mean(axis=0), points - centres.mean(axis=0)
    # distances are roots of differences of squares, which rounding decides near 0
    longest = max(np.linalg.norm(a, axis=1).max() for a in (centres, points))
    slack = 4 * np.sqrt(np.finfo(float).eps) * longest
    among = pairwise_distances_chunked(centres)
    near = [np.partition(part, k, axis=1)[:, k] for part in among]  # 0 is the centre
    radius = np.concatenate(near) + slack
    balls, held = [], np.zeros(len(centres), bool)
    for part in pairwise_distances_chunked(points, centres):
        inside = part <= radius
        balls.append(inside.sum(axis=1))
        held |= inside.any(axis=0)
    return np.concatenate(balls), held
