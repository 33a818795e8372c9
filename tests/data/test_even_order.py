"""The order of real images: classes in even proportion, whatever their number."""

from dataclasses import replace

import numpy as np
import pytest

from jaxdiff.data import synthetic
from jaxdiff.data.even_order import even_order


def test_any_first_images_have_the_proportion_of_classes():
    """Any first n; each image once; of one class, or a number of them by the seed."""
    source = synthetic.make((8, 8, 1), 3, 90)
    skewed = replace(
        source,
        load=lambda i: source.load(i) | {"cond": (i >= 60).astype(np.int32)},
        num_classes=2,
    )
    index = even_order(skewed)
    assert sorted(index) == list(range(90))
    for n in (9, 30, 60):
        assert (index[:n] < 60).sum() == pytest.approx(n * 2 / 3, abs=1)
    one = even_order(skewed, 20, label=1)
    assert len({*one}) == 20 and one.min() >= 60
    assert {*even_order(skewed, 20, 1)} != {*even_order(skewed, 20)}
    for num in (3, 31):
        with pytest.raises(ValueError, match=r"from 4 to the 30 images .* got"):
            even_order(skewed, num, label=1)
    with pytest.raises(ValueError, match=r"from 4 to the 90 images .* got 91"):
        even_order(skewed, 91)
