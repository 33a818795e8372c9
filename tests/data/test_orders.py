"""Which examples, and in what order: classes even, in turn, and in pairs."""

from dataclasses import replace

import numpy as np
import pytest

from jaxdiff.data import synthetic
from jaxdiff.data.orders import classes_in_turn, even_order, pairs_of_classes


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


def test_classes_take_turns_in_the_order_that_each_has():
    labels = np.array([2, 2, 0, 1, 2, 0])
    assert classes_in_turn(labels).tolist() == [2, 3, 0, 5, 1, 4]
    assert classes_in_turn(np.zeros(4, int)).tolist() == [0, 1, 2, 3]


def test_pairs_are_images_of_different_classes():
    source = synthetic.make((4, 4, 1), 3, 30)
    a, b = pairs_of_classes(source, 0, 5)
    assert a.shape == b.shape == (5, 4, 4, 1)
    every = source[np.arange(30)]

    def label(image):
        return every["cond"][(every["x"] == image).all((1, 2, 3))].item()

    assert all(label(x) != label(y) for x, y in zip(a, b, strict=True))
    other, _ = pairs_of_classes(source, 1, 5)
    assert not np.array_equal(a, other)
    plain = replace(
        source,
        num_classes=0,
        load=lambda i: {"x": source.load(i)["x"], "cond": None},
    )
    assert len(pairs_of_classes(plain, 0, 5)[0]) == 5
