"""Sheets of images: class under class, and white where there is none."""

import numpy as np

from jaxdiff.plots.sheets import Sheet, common_classes, strips_of


def test_the_picture_puts_class_under_class():
    def some(labels):
        pixels = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
        return Sheet("", pixels, np.array(labels, np.int32))

    a, b = some([0, 1, 2, 1, 1, 1]), some([2, 2, 1])
    assert common_classes([a.labels, b.labels]) == [1, 2]
    assert common_classes([a.labels, None]) == []
    many = some(list(range(100)))
    chosen = common_classes([many.labels] * 2)
    assert len(chosen) == 10 and chosen[0] == 0 and chosen[-1] == 99
    strips = strips_of(a, [1, 2])[..., 0, 0, 0]
    assert strips.tolist() == [[1, 2], [3, 255], [4, 255]]
    strips = strips_of(some(list(range(12))), [])[..., 0, 0, 0]
    assert strips[0].tolist() == list(range(10))
    assert strips[1].tolist() == [10, 11, *[255] * 8]
