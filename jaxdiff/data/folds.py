"""A table cut into parts with as much of every class as can be, to hold each out."""

import numpy as np

from jaxdiff.data.batches import permutation


def folds(classes: np.ndarray, num: int, seed: int) -> np.ndarray:
    """The part i64[n] of each row: of every class in turn, in an order by the seed.

    Args:   classes: of each row, str[n].  num: of parts.
    Errors: ValueError for a class of fewer rows than parts.
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
