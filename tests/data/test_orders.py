"""Which examples, and in what order: classes even, in turn, and in pairs."""

from dataclasses import replace

import numpy as np
import pytest

from jaxdiff.data import synthetic
from jaxdiff.data.orders import (
    classes_in_turn,
    even_order,
    evenly,
    multiple,
    pairs_of_classes,
    to_show,
)


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
    few = replace(
        skewed, load=lambda i: source.load(i) | {"cond": (i >= 88).astype(np.int32)}
    )
    with pytest.raises(ValueError, match="the data have 2 images of class 1: 4 or"):
        even_order(few, label=1)


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


@pytest.mark.parametrize(
    ("num", "labels", "most", "shown"),
    [
        (3, [0, 1, 1], 8, [0, 1, 2]),
        (6, None, 4, [0, 1, 2, 3]),
        (9, [0, 0, 0, 1, 1, 1, 2, 2, 2], 6, [0, 1, 3, 4, 6, 7]),
        (9, [0, 0, 0, 1, 1, 1, 2, 2, 2], 5, [0, 3, 6]),
        (5, [0, 1, 2, 3, 4], 3, [0, 2, 4]),
        (6, [7, 7, 7, 7, 7, 7], 2, [0, 1]),
    ],
)
def test_what_a_picture_shows_by_hand(num, labels, most, shown):
    labels = None if labels is None else np.array(labels)
    assert to_show(num, labels, most).tolist() == shown


def test_a_picture_of_ten_classes_shows_all_of_them():
    labels = np.arange(200) * 10 // 200
    for most in (10, 20, 64, 100):
        assert {*labels[to_show(200, labels, most)].tolist()} == {*range(10)}
    assert [multiple(64, k) for k in (0, 1, 10, 64, 102)] == [64, 64, 60, 64, 102]
    assert evenly(102, 4).tolist() == [0, 34, 67, 101] and evenly(2, 4).tolist() == [
        0,
        1,
    ]
