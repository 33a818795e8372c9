"""Whether samples are copies of training examples, by their nearest ones.

(1)  d(x) = the distance from x to the nearest training example
(2)  c = the r-th smallest d of m held-out examples,   r = floor(SHARE (m + 1)), >= 1.
     Where several have d = c, as duplicates of training examples do, r counts them all
(3)  k of n samples have d <= c. Of n more held-out examples k ~ BetaBinomial(n, r, m +
     1 - r), whatever their distribution, if no two d are equal: P(d <= c) is that of an
     order statistic, Beta(r, m + 1 - r). p is the probability of k or more
(4)  samples are copies if p < ALPHA and k / n > TIMES r / (m + 1)

The second condition of (4) is an effect size: samples that are a little nearer than
held-out examples, as smoother ones are, are no copies, however many are drawn.
Source: the three-sample test of Meehan et al. 2020, arXiv:2004.05675, at a quantile.
"""

from typing import NamedTuple

import numpy as np
import scipy

from jaxdiff.arrays import require

SHARE, ALPHA, TIMES = 0.05, 1e-3, 2.0


class Copies(NamedTuple):
    """threshold: c of equation 2.  expected: r / (m + 1).
    share, error: k / n, with its binomial standard error.  p: of equation 3
    auc: the share of pairs in which the sample is nearer than the held-out example
    enough: whether n copies of n would be copies by equation 4.  copies: equation 4
    """

    threshold: float
    expected: float
    share: float
    error: float
    p: float
    auc: float
    enough: bool
    copies: bool


def compare(samples: np.ndarray, baseline: np.ndarray) -> Copies:
    """Equations 2 to 4, of nearest distances f[n] of samples and f[m] of the baseline.

    Errors: ValueError if one of them is empty.
    """
    n, m = len(samples), len(baseline)
    require(n > 0 and m > 0, f"need distances of both sets, got {n} and {m}")
    threshold = np.sort(baseline)[max(1, int(SHARE * (m + 1))) - 1]
    r, k = (int((d <= threshold).sum()) for d in (baseline, samples))
    expected = r / (m + 1)
    chances = scipy.stats.betabinom.pmf(np.arange(k, n + 1), n, r, m + 1 - r)
    p = min(float(chances.sum()), 1.0)
    nearer = scipy.stats.rankdata(np.concatenate([samples, baseline]))[n:].sum()
    auc = (nearer - m * (m + 1) / 2) / (n * m)
    share = k / n
    return Copies(
        float(threshold),
        expected,
        share,
        float(np.sqrt(share * (1 - share) / n)),
        p,
        float(auc),
        bool(chances[-1] < ALPHA and TIMES * expected < 1),
        bool(p < ALPHA and share > TIMES * expected),
    )
