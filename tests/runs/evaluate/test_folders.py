"""Folders of samples: what is read from them, and the errors of the rest."""

import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import digits, synthetic
from jaxdiff.runs.evaluate.folders import of_class, read

SOURCE = synthetic.make((6, 6, 1), 3, 12)
COLOUR = synthetic.make((6, 4, 3), 2, 12)
VALUES = SOURCE.decode(SOURCE[np.arange(12)]["x"])
LABELS = SOURCE[np.arange(12)]["cond"]
PIXELS = np.rint(VALUES).astype(np.uint8)


def saved(folder, **arrays):
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "samples.npz", **arrays)
    return folder


def written(folder, pixels, names=None):
    """PNGs of u8[n, h, w, 1], in class folders where there are names of them."""
    for i, image in enumerate(pixels):
        inside = folder / (names[i] if names else "")
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(inside / f"{i:02d}.png")
    return folder


def test_what_launch_sample_wrote(tmp_path):
    results = read(saved(tmp_path, values=VALUES, labels=LABELS, seed=0), SOURCE)
    np.testing.assert_array_equal(results.pixels, PIXELS)
    np.testing.assert_array_equal(results.labels, LABELS)
    assert results.pixels.dtype == np.uint8 and results.resized == ""
    # its own pictures beside it are not read
    (tmp_path / "grid.png").write_bytes(b"no picture")
    assert len(read(tmp_path, SOURCE).pixels) == 12
    assert read(saved(tmp_path, values=VALUES), SOURCE).labels is None


def test_the_peak_is_the_sources(tmp_path):
    """Digits count to 16."""
    source = digits.make()
    values = np.full((2, 8, 8, 1), 8.0)
    pixels = read(saved(tmp_path, values=values), source).pixels
    np.testing.assert_array_equal(pixels, 128)
    with pytest.raises(ValueError, match=r"from 0 to 16, .* got 17 to 17"):
        read(saved(tmp_path, values=np.full((2, 8, 8, 1), 17.0)), source)


def test_plain_pictures(tmp_path):
    results = read(written(tmp_path, PIXELS), SOURCE)
    np.testing.assert_array_equal(results.pixels, PIXELS)
    assert results.labels is None


def test_another_size_is_enlarged_by_pillows_bicubic(tmp_path):
    small = PIXELS[:2, ::2, ::2]
    image = Image.fromarray(small[0, ..., 0])
    truth = np.asarray(image.resize((6, 6), Image.Resampling.BICUBIC))
    for folder in (
        written(tmp_path / "pictures", small),
        saved(tmp_path / "saved", values=small.astype(np.float32)),
    ):
        results = read(folder, SOURCE)
        np.testing.assert_array_equal(results.pixels[0, ..., 0], truth)
        assert results.resized == "3x3, enlarged by bicubic"


def test_colour_and_sides_that_differ(tmp_path):
    values = COLOUR.decode(COLOUR[np.arange(12)]["x"])
    pixels = np.rint(values).astype(np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    np.testing.assert_array_equal(read(tmp_path, COLOUR).pixels, pixels)
    large = values.repeat(2, 1).repeat(2, 2)
    results = read(saved(tmp_path, values=large), COLOUR)
    assert results.pixels.shape == (12, 6, 4, 3)
    assert results.resized == "8x12, reduced by bicubic"


def test_one_class(tmp_path):
    whole = read(saved(tmp_path, values=VALUES, labels=LABELS), SOURCE)
    one = of_class(whole, 2)
    np.testing.assert_array_equal(one.pixels, PIXELS[LABELS == 2])
    assert one.labels.tolist() == [2] * 4
    with pytest.raises(ValueError, match=r"has no image of that class"):
        of_class(one, 1)
    with pytest.raises(ValueError, match=r"--label 1: .* have no known classes"):
        of_class(whole._replace(labels=None), 1)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"rows": np.zeros(3)}, r"samples.npz: 'values' must be images \(n, h, w, 1\)"),
        ({"values": np.zeros((2, 6, 6, 3))}, r"got shape \(2, 6, 6, 3\)"),
        ({"values": np.zeros((0, 6, 6, 1))}, r"got shape \(0, 6, 6, 1\)"),
        ({"values": VALUES - 300}, "must be from 0 to 255, as the data's are"),
        ({"values": VALUES * np.nan}, "got nan to nan"),
        ({"values": VALUES, "labels": LABELS[1:]}, "of the data's 3 classes"),
        ({"values": VALUES, "labels": LABELS + 1}, "of the data's 3 classes"),
        ({"values": np.zeros((2, 6, 5, 1))}, "is 5x6, of another aspect .* 6x6"),
    ],
)
def test_refuses_saved_samples(tmp_path, arrays, words):
    with pytest.raises(ValueError, match=words):
        read(saved(tmp_path, **arrays), SOURCE)


def test_refuses_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        read(tmp_path / "none", SOURCE)
    with pytest.raises(ValueError, match=r"is empty; give a folder that launch.sample"):
        read(tmp_path, SOURCE)
    (tmp_path / "words.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"hold no picture"):
        read(tmp_path, SOURCE)
    (tmp_path / "samples.npz").write_bytes(b"PK cut short")
    with pytest.raises(ValueError, match=r"samples.npz cannot be read"):
        read(tmp_path, SOURCE)
