"""Pictures brought to a size, the mean of images, and what a source has of levels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import digits, images, iris, synthetic

FILE = Path("a.png")


@pytest.mark.parametrize("channels", [1, 3])
def test_another_size_is_pillows_bicubic(channels):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 6, channels), np.uint8)
    results = images.rescale(pixels, (8, 12, channels), FILE)
    assert results.shape == (8, 12, channels) and results.dtype == np.uint8
    for c in range(channels):
        one = Image.fromarray(pixels[..., c])
        truth = one.resize((12, 8), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(results[..., c], truth)
    assert images.rescale(pixels, pixels.shape, FILE) is pixels
    with pytest.raises(ValueError, match=r"a.png is 6x4, of another aspect .* 8x8"):
        images.rescale(pixels, (8, 8, channels), FILE)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({(6, 4)}, ""),
        ({(3, 2)}, "2x3, enlarged by bicubic"),
        ({(12, 8), (6, 4)}, "8x12, reduced by bicubic"),
        ({(12, 8), (3, 2)}, "2x3 to 8x12, resized by bicubic"),
    ],
)
def test_what_was_done_is_put_in_words(sizes, words):
    assert images.rescaled(sizes, (6, 4, 3)) == words


def test_a_level_is_the_distance_of_neighbouring_pixels():
    """0 of the digits' 16 is black, 1 is the next level; of tables there are none."""
    source = digits.make()
    two = np.zeros((2, 8, 8, 1), np.float32)
    two[1] = 1.0
    x = source.encode(two)
    np.testing.assert_allclose(source.level_width, x[1, 0, 0, 0] - x[0, 0, 0, 0])
    colour = images.standardise(
        synthetic.make((4, 4, 3), 2, 30), (0.3, 0.4, 0.5), (0.1, 0.2, 0.4)
    )
    two = np.stack([np.zeros((4, 4, 3)), np.ones((4, 4, 3))])
    low, high = colour.encode(two)[:, 0, 0]
    np.testing.assert_allclose(colour.level_width, high - low, rtol=1e-4)
    assert iris.make().level_width == 0
    assert replace(source, bounds=None).level_width == 0


def test_a_label_that_is_no_class_is_refused():
    source = synthetic.make((4, 4, 1), 3, 30)
    assert source.class_of("2") == source.class_of("class 2") == 2
    for label in ("-1", "3", "1.0", "²", ""):
        with pytest.raises(ValueError, match=f"0 to 2 .*, got {label}; .* 2 class 2"):
            source.class_of(label)
    with pytest.raises(ValueError, match="did you mean 'class 1'"):
        source.class_of("clas 1")
    with pytest.raises(ValueError, match="no class '0': the data have no labels"):
        synthetic.make((4, 4, 1), 0, 30).class_of("0")


def test_a_name_that_is_a_number_goes_before_the_number():
    source = replace(synthetic.make((4, 4, 1), 3, 30), class_names=("0", "10", "1"))
    assert [source.class_of(text) for text in ("0", "1", "10", "2")] == [0, 2, 1, 2]
