"""Images standardised by channel: moments by hand, and back to pixels."""

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import digits, folder, images, synthetic
from tests.data.test_tfds import picture, write


def coloured(path, count=6):
    """Pictures whose three channels differ in mean and spread; returns their pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers((0, 50, 200), (100, 60, 256), (count, 5, 7, 3)).astype("u1")
    path.mkdir(exist_ok=True)
    for i, one in enumerate(pixels):
        Image.fromarray(one).save(path / f"{i}.png")
    return pixels


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_moments_are_those_of_all_pixels(tmp_path, low):
    pixels = coloured(tmp_path / "a") / 255
    mean, std = images.moments(folder.make(str(tmp_path / "a"), low=low))
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std((0, 1, 2)), rtol=1e-5)


def test_more_images_than_a_batch_are_all_counted():
    source = synthetic.make((3, 2, 1), num_examples=300)
    v = (source[np.arange(300)]["x"].astype(np.float64) + 1) / 2
    mean, std = images.moments(source)
    np.testing.assert_allclose([*mean, *std], [v.mean(), v.std()], rtol=1e-9)


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_given_numbers_by_hand(tmp_path, low):
    """The model value of black and white does not matter then."""
    pixels = coloured(tmp_path / "a")
    mean, std = (0.4705, 0.3943, 0.3033), (0.2892, 0.2364, 0.2680)
    plain = folder.make(str(tmp_path / "a"), low=low)
    source = images.standardise(plain, mean, std)
    x = source[np.arange(6)]["x"]
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, (pixels / 255 - mean) / std, atol=1e-5)
    np.testing.assert_allclose(source.decode(x), pixels, atol=1e-3)
    assert source.moments == (mean, std)
    # the ends: 0 and 1 in the same formula
    black, white = source.bounds
    np.testing.assert_allclose(black, -np.divide(mean, std), rtol=1e-5)
    np.testing.assert_allclose(white, (1 - np.array(mean)) / std, rtol=1e-5)
    np.testing.assert_allclose(source.decode(0 * x + white), 255, atol=1e-3)
    assert source.decode(0 * x + 99).max() == 255
    assert source.decode(0 * x - 99).min() == 0


def every_source(tmp_path):
    coloured(tmp_path / "pictures")
    yield folder.make(str(tmp_path / "pictures"))
    yield digits.make(labels=(3, 1))
    yield synthetic.make((6, 5, 3), num_examples=20)
    # as TFDS prepares it: `train` has all but the last two
    write(tmp_path, "plain", [picture(i) for i in range(10)])
    from jaxdiff.data import tfds

    yield tfds.make("plain", data_dir=str(tmp_path))


def test_what_is_measured_makes_mean_0_and_deviation_1(tmp_path):
    for plain in every_source(tmp_path):
        source = images.standardise(plain)
        batch, before = (s[np.arange(len(s))] for s in (source, plain))
        x = batch["x"].astype(np.float64)
        np.testing.assert_allclose(x.mean((0, 1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(x.std((0, 1, 2)), 1, rtol=1e-5)
        assert set(batch) == set(before)
        back = source.decode(batch["x"])
        np.testing.assert_allclose(back, plain.decode(before["x"]), atol=1e-3)
        black, white = source.bounds
        assert ((x >= black - 1e-5) & (x <= white + 1e-5)).all()


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((0.5,), (0.1,), "each of the 3 channels"),
        ((0.5,) * 3, (), "go together"),
        ((0.5,) * 3, (0.1, 0.0, 0.1), "positive in every channel"),
        ((float("nan"),) * 3, (0.1,) * 3, "nan"),
    ],
)
def test_refuses(mean, std, words):
    with pytest.raises(ValueError, match=words):
        images.standardise(synthetic.make((4, 4, 3)), mean, std)


def test_a_channel_that_never_changes_is_refused(tmp_path):
    for i in range(2):
        Image.new("RGB", (4, 4), (100 + i, 7, 30 + i)).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match="never changes"):
        images.standardise(folder.make(str(tmp_path)))
