"""Folds for cross-validation, in each of which every class has its share."""

import numpy as np

from jaxdiff.data.batches import permutation


def folds(classes: np.ndarray, num: int, seed: int) -> np.ndarray:
    """The fold of each row, i64[n] from 0 to num - 1.

    The rows of a class are shuffled and dealt to the folds in turn.

    Args:   classes: the class of each row, str[n].  num: the number of folds.
            seed: of the order, from 0 to 2^64 - 1.
    Errors: ValueError if a class has fewer rows than there are folds.
    """
    order = permutation(seed, 0, len(classes))
    fold = np.empty(len(classes), int)
    for name in np.unique(classes):
        rows = order[classes[order] == name]
        if len(rows) < num:
            raise ValueError(
                f"class {str(name)!r} has {len(rows)} rows for {num} parts; leave it "
                "out of the table, or add rows"
            )
        fold[rows] = np.arange(len(rows)) % num
    return fold
