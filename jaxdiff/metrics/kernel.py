"""KID: the squared MMD of two sets of features with a cubic kernel, without bias.

(1)  k(x, y) = (x.y / d + 1)^3,   d the number of features
(2)  mmd2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j)
            - 2 mean_{ij} k(x_i, y_j)

For two sets from one distribution its expectation is 0, so a value can be negative.
Unlike the Frechet distance it needs no large sets. Published KIDs use Inception's
features.
Source: Binkowski et al. 2018, arXiv:1801.01401; Gretton et al. 2012, lemma 6.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.metrics.averages import average

# KID uses at most BLOCK rows per block, and BLOCKS blocks if there are enough rows.
BLOCK, BLOCKS = 100, 10


class Estimate(NamedTuple):
    """The mean over blocks, its standard error, and the number of blocks."""

    value: float
    error: float
    blocks: int


def polynomial(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The kernel of equation 1 for all pairs: f[n, d], f[m, d] -> f64[n, m]."""
    x, y = (np.asarray(a, np.float64) for a in (x, y))
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """mmd2 of equation 2, for f[n, d] and f[m, d], in float64; n, m >= 2.

    Errors: ValueError for other shapes.
    """
    check_pair(x, y, 2)
    n, m = len(x), len(y)
    of_x, of_y = polynomial(x, x), polynomial(y, y)
    within_x = (of_x.sum() - np.trace(of_x)) / (n * (n - 1))
    within_y = (of_y.sum() - np.trace(of_y)) / (m * (m - 1))
    return float(within_x + within_y - 2 * polynomial(x, y).mean())


def block_mmd(x: np.ndarray, y: np.ndarray, size: int = 100, seed: int = 0) -> Estimate:
    """mmd2 of equation 2, as the mean over disjoint blocks of `size` rows of each set.

    The values of the blocks are independent, so their spread gives the standard error,
    and the cost is linear in the number of rows. Rows are shuffled first; rows that do
    not fill a block are left out.

    Args:   size: rows per block, at least 2; min(n, m) must hold two blocks.
    Errors: ValueError for other shapes or sizes.
    Source: Zaremba et al. 2013, arXiv:1307.1954 (B-tests).
    """
    require(size >= 2, f"size must be at least 2, got {size=}")
    check_pair(x, y, 2 * size)
    blocks = min(len(x), len(y)) // size
    rng = np.random.default_rng(seed)
    parts = (
        np.asarray(a)[rng.permutation(len(a))[: blocks * size]].reshape(
            blocks, size, -1
        )
        for a in (x, y)
    )
    values = [squared_mmd(a, b) for a, b in zip(*parts, strict=True)]
    return Estimate(*average(values), blocks)


def kid(
    generated: np.ndarray, real: np.ndarray, seed: int = 0, *, rescale: bool = True
) -> dict[str, Any]:
    """block_mmd of f[n, d] and f[m, d], as `kid`, `kid_error` and `kid_block`.

    Blocks have at most BLOCK rows, so that there are BLOCKS of them if possible. All
    three are None if a set is too small for two blocks of two.

    Args: rescale: divide both sets by the root mean square of the real features. The
          kernel needs values of about 1, and a classifier's features have any scale;
          Inception's features are taken as they are.
    """
    smaller = min(len(generated), len(real))
    size = max(2, min(BLOCK, smaller // BLOCKS))
    if smaller < 2 * size:
        return {"kid": None, "kid_error": None, "kid_block": None}
    scale = np.sqrt(np.mean(np.square(real, dtype=np.float64))) if rescale else 1.0
    mmd = block_mmd(generated / scale, real / scale, size, seed)
    return {"kid": mmd.value, "kid_error": mmd.error, "kid_block": size}


def check_pair(x: np.ndarray, y: np.ndarray, least: int = 1) -> None:
    """Check that these are two sets of features of one width, with enough rows.

    Errors: ValueError if they are not.
    """
    require(
        np.ndim(x) == np.ndim(y) == 2 and np.shape(x)[1] == np.shape(y)[1],
        "features must be two arrays (rows, d) of the same d, got shapes "
        f"{np.shape(x)} and {np.shape(y)}",
    )
    require(
        min(len(x), len(y)) >= least,
        f"need at least {least} rows in each set, got {len(x)} and {len(y)}",
    )
