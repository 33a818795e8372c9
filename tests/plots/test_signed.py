"""Signed images as colours."""

import numpy as np

from jaxdiff.plots.signed import signed_pixels


def test_grey_gradients_run_from_blue_over_white_to_red():
    values = np.array([[-3.0, 0.0, 3.0], [0.0, 0.0, 0.5]]).reshape(2, 1, 3, 1)
    pixels, largest = signed_pixels(values)
    np.testing.assert_array_equal(largest, [3.0, 0.5])
    assert pixels.shape == (2, 1, 3, 3) and pixels.dtype == np.uint8
    low, middle, high = pixels[0, 0].astype(int)
    assert low[2] > low[0] + 50 and high[0] > high[2] + 50
    assert middle.min() > 240
    # each in its own scale
    np.testing.assert_array_equal(pixels[1, 0, 2], pixels[0, 0, 2])


def test_colours_have_their_own_channel_and_nothing_is_grey():
    values = np.zeros((1, 1, 2, 3))
    np.testing.assert_array_equal(signed_pixels(values)[0], 128)
    values[0, 0, 0] = [2.0, -2.0, 0.0]
    np.testing.assert_array_equal(signed_pixels(values)[0][0, 0, 0], [255, 0, 128])
