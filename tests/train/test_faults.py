"""The faults of a batch that no model can be trained on, in words."""

import numpy as np
import pytest

from jaxdiff.train import faults

X = np.zeros((4, 2), np.float32)
BAD = np.where(np.arange(4)[:, None] == 2, np.nan, X)


@pytest.mark.parametrize(
    ("x", "cond", "classes", "words"),
    [
        (X, None, 0, ""),
        (X, np.array([0, 1, 2, 0]), 3, ""),
        (X, np.array([0, 7, 2, 0]), 0, ""),  # numbers, and no labels
        (BAD, None, 0, "batch['x'] is not finite in 1 of 4 examples"),
        (X, {"a": BAD}, 0, "batch['cond']['a'] is not finite in 1 of 4 examples"),
        (
            *(X, np.array([0, 3, 2, 4]), 3),
            "batch['cond'] has the label 3, and the classes are from 0 to 2",
        ),
    ],
)
def test_the_first_fault_is_named(x, cond, classes, words):
    assert faults.in_words({"x": x, "cond": cond}, classes) == words
