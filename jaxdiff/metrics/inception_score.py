"""The Inception score: whether a classifier is sure of each image, and of none for all.

(1)  exp(mean over x of KL(p(c | x) || p(c))),  p(c) the mean of p(c | x)

From 1 (every image says the same) to the number of classes. It knows nothing of the
data, and so nothing of what is missing.
Source: Salimans et al. 2016, arXiv:1606.03498, section 4; ten parts.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import rel_entr

from jaxdiff.arrays import require


class Score(NamedTuple):
    """The mean over parts of the images, and its standard error."""

    value: float
    error: float


def inception_score(probabilities: np.ndarray, parts: int = 10, seed: int = 0) -> Score:
    """Equation 1 of p(c | x), f[n, classes] whose rows sum to 1, by parts.

    Rows are shuffled first: samples often come class by class.
    Errors: ValueError for rows that are no probabilities, or fewer than two a part.
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
        np.exp(rel_entr(part, part.mean(0)).sum(1).mean())
        for part in np.array_split(p, parts)
    ]
    return Score(float(np.mean(scores)), float(np.std(scores, ddof=1) / parts**0.5))
