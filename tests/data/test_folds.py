"""Parts of a table that leave every row out once."""

import numpy as np
import pytest

from jaxdiff.data.folds import folds


def test_folds_share_every_class_and_depend_on_the_seed():
    classes = np.array(["a"] * 10 + ["b"] * 12)
    fold = folds(classes, 5, seed=0)
    for name, counts in (("a", [2, 2, 2, 2, 2]), ("b", [3, 3, 2, 2, 2])):
        assert np.bincount(fold[classes == name]).tolist() == counts
    np.testing.assert_array_equal(fold, folds(classes, 5, seed=0))
    assert (fold != folds(classes, 5, seed=1)).any()
    with pytest.raises(ValueError, match="class 'b' has 2 rows for 5 parts"):
        folds(np.array(["a"] * 9 + ["b"] * 2), 5, seed=0)
