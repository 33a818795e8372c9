"""The Inception score: each image has a certain class, and all classes occur.

(1)  exp(mean over x of KL(p(c | x) || p(c))),  p(c) the mean of p(c | x)

It lies between 1 (every image gives the same p) and the number of classes. It does not
depend on the real data, so it cannot show what is missing.
Source: Salimans et al. 2016, arXiv:1606.03498, section 4; ten parts.
"""

import numpy as np
import scipy

from jaxdiff.arrays import require
from jaxdiff.metrics.averages import Average, average


def inception_score(
    probabilities: np.ndarray, parts: int = 10, seed: int = 0
) -> Average:
    """The score of equation 1, as the mean over equal parts of the images.

    Rows are shuffled first, because samples often come class by class.

    Args:   probabilities: p(c | x), f[n, classes], rows with sum 1.
    Errors: ValueError for rows that are no probabilities, or fewer than two per part.
    """
    p = np.asarray(probabilities, np.float64)
    require(
        p.ndim == 2 and (p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-4),
        f"probabilities must be (images, classes) whose rows sum to 1, got {p.shape}",
    )
    require(
        parts >= 2 and len(p) >= 2 * parts,
        f"{parts} parts need at least {2 * max(parts, 2)} images, got {len(p)}",
    )
    p = np.random.default_rng(seed).permutation(p)
    scores = [
        np.exp(scipy.special.rel_entr(part, part.mean(0)).sum(1).mean())
        for part in np.array_split(p, parts)
    ]
    return average(scores)
