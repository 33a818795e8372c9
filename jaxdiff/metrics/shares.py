"""Shares of classes among samples, and whether chance explains them."""

from typing import NamedTuple

import numpy as np
import scipy


class Shares(NamedTuple):
    """value: f[k], of the n labels.  error: f[k], binomial: sqrt(p (1 - p) / n)."""

    value: np.ndarray
    error: np.ndarray


def shares(labels: np.ndarray, classes: int) -> Shares:
    """Of each class among labels i[n], n >= 1."""
    p = np.bincount(labels, minlength=classes) / len(labels)
    return Shares(p, np.sqrt(p * (1 - p) / len(labels)))


def p_value(counts: np.ndarray, expected: np.ndarray) -> float:
    """Pearson's chi-square test of counts i[k] against shares f[k] that sum to 1.

    How likely counts at least as far from those shares are, if the samples have them; 0
    if a class was sampled that has no share. NaN for a single class.
    """
    counts, expected = np.asarray(counts), np.asarray(expected)
    there = expected > 0
    if counts[~there].any():
        return 0.0
    if there.sum() < 2:
        return float("nan")
    counts = counts[there]
    return float(scipy.stats.chisquare(counts, expected[there] * counts.sum()).pvalue)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """-sum p log p over the last axis, in nats."""
    p = np.asarray(probabilities, np.float64)
    return -(p * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum(-1)
