"""Pictures: rounding and layout by hand, and plots that show their data."""

import numpy as np
import pytest
from PIL import Image

from jaxdiff.plots import curves, pictures, saving, tables


def test_to_uint8_rounds_and_clips():
    # 255 v / 16 of the digits' units: 8 -> 127.5, to even 128; 1 -> 15.94 -> 16
    values = np.array([0.0, 1.0, 8.0, 15.97, 16.0, 17.0, -1.0])
    np.testing.assert_array_equal(
        pictures.to_uint8(values, 16.0), [0, 16, 128, 255, 255, 255, 0]
    )
    # and in 0 ... 255 every stored level comes back as it was
    levels = np.arange(256.0)
    np.testing.assert_array_equal(pictures.to_uint8(levels, 255.0), levels)
    np.testing.assert_array_equal(
        pictures.to_uint8(np.array([0.49, 0.51, 99.5]), 255.0), [0, 1, 100]
    )


def test_squeeze():
    assert saving.squeeze(np.zeros((2, 3, 1), np.uint8)).shape == (2, 3)
    assert saving.squeeze(np.zeros((2, 3, 3), np.uint8)).shape == (2, 3, 3)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_channels_that_are_no_colours_are_drawn_as_their_mean(tmp_path, channels):
    """With names in a margin and without; a fourth channel is no transparency."""
    images = np.broadcast_to(
        np.arange(channels, dtype=np.uint8) * 10, (2, 50, 50, channels)
    )
    pictures.save_grid(tmp_path / "grid.png", images, columns=1)
    with Image.open(tmp_path / "grid.png") as file:
        assert file.mode == "L" and file.getpixel((25, 25)) == 5 * (channels - 1)
    pictures.save_grid(tmp_path / "named.png", images, columns=1, names=["a", "b"])
    with Image.open(tmp_path / "named.png") as file:
        middle = file.convert("RGB").getpixel((file.width - 30, file.height // 4))
    assert middle == (5 * (channels - 1),) * 3


def test_names_keep_clear_of_the_edge(tmp_path):
    """At a screen's resolution letters are wider than in print."""
    images = np.zeros((2, 50, 50, 1), np.uint8)
    names = ["smileys_emotion", "predicted\nfrom noise alone"]
    pictures.save_grid(tmp_path / "grid.png", images, columns=1, names=names)
    with Image.open(tmp_path / "grid.png") as file:
        dark = np.asarray(file.convert("L")).min(axis=0) < 128
    assert 3 <= np.argmax(dark) <= 12  # GAP is .06 inches


def test_tile_by_hand():
    """Three 1x2 images in two columns, gaps of one, each pixel as it is."""
    images = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint8)[..., None]
    w = 255
    by_hand = [
        [w, w, w, w, w, w, w],
        [w, 1, 2, w, 3, 4, w],
        [w, w, w, w, w, w, w],
        [w, 5, 6, w, w, w, w],
        [w, w, w, w, w, w, w],
    ]
    got = pictures.tile(images, columns=2, gap=1, scale=1)
    np.testing.assert_array_equal(got[..., 0], by_hand)


def test_tile_enlarges_whole_pixels():
    images = np.array([[[10], [20]]], np.uint8).reshape(1, 2, 1, 1)
    got = pictures.tile(images, gap=0, scale=2)
    np.testing.assert_array_equal(got[..., 0], [[10, 10], [10, 10], [20, 20], [20, 20]])


def test_small_images_are_made_visible_and_large_ones_left():
    small = pictures.tile(np.zeros((1, 8, 8, 1), np.uint8), gap=0)
    assert small.shape[0] >= 32 and small.shape[0] % 8 == 0
    large = pictures.tile(np.zeros((4, 64, 64, 3), np.uint8), gap=0)
    assert large.shape == (128, 128, 3)  # a square of 2 by 2


@pytest.mark.parametrize("channels", [1, 3])
def test_save_grid_is_lossless(tmp_path, channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (3, 50, 50, channels), dtype=np.uint8)
    path = tmp_path / "new" / "grid.png"
    pictures.save_grid(path, images, columns=3)
    with Image.open(path) as file:
        read = np.asarray(file).reshape(52, 154, channels)
    for i in range(3):
        np.testing.assert_array_equal(read[1:51, 1 + 51 * i : 51 + 51 * i], images[i])


def differs(save, tmp_path, one, other):
    """Both are pictures with content, and their pixels depend on the data."""
    read = []
    for name, data in (("one", one), ("other", other)):
        path = tmp_path / f"{name}.png"
        save(path, data)
        with Image.open(path) as file:
            read.append(np.asarray(file.convert("L"), np.int32))
    assert all(pixels.std() > 1 for pixels in read)
    a, b = read
    return a.shape != b.shape or (abs(a - b) > 50).mean() > 1e-3


def test_schedule_curves_show_the_schedules(tmp_path):
    t = np.linspace(0, 1, 30)

    def parts(alpha, sigma, log_snr):
        share = alpha**2 / (alpha**2 + sigma**2)
        return {"alpha": alpha, "sigma": sigma, "share": share, "log_snr": log_snr}

    line = parts(1 - t, t, np.where(t > 0, -t, np.inf))  # infinite at the end
    curve = parts(1 - t**2, t**2, -3 * t)

    def save(path, values):
        curves.save_schedules(path, t, {"a": values}, {"b": line})

    def save_behind(path, values):
        curves.save_schedules(path, t, {"a": line}, {"b": values})

    assert differs(save, tmp_path, line, curve)
    assert differs(save_behind, tmp_path, line, curve)


def test_rows_show_the_images(tmp_path):
    black, white = (
        np.zeros((3, 8, 8, 1), np.uint8),
        np.full((3, 8, 8, 1), 255, np.uint8),
    )

    def save(path, row):
        pictures.save_rows(path, {"a": row, "b": black}, columns="123", title="t")

    assert differs(save, tmp_path, black, white)


def test_pairs_show_rows_and_classes(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=40)
    kinds = np.array(["a", "b"] * 20)

    def save(path, columns):
        real = {"x": x, "y": y, "kind": kinds}
        tables.save_pairs(path, {"real": real, "generated": columns})

    base = {"x": x, "y": y, "kind": kinds}
    assert differs(save, tmp_path, base, {"x": y, "y": -x, "kind": kinds})
    assert differs(save, tmp_path, base, {**base, "kind": np.sort(kinds)})


def test_pairs_count_the_rows_outside_the_axes_of_the_first(tmp_path):
    """Which are -1 to 11 and 0 to 2 here: a tenth of the range is left free."""
    real = {"x": np.array([0.0, 10.0]), "y": np.array([1.0, 1.0])}
    generated = {"x": np.array([-2.0, -0.9, 10.9, 12.0, 5.0, 99.0]), "y": np.ones(6)}
    generated["y"][[4, 5]] = 3.0  # one row outside in one column, one in both
    panels = {"real": real, "generated": generated}
    counts = tables.save_pairs(tmp_path / "far.png", panels)
    assert counts == {"real": 0, "generated": 4}


@pytest.mark.parametrize("values", [40, 3, 1])
def test_densities_have_the_share_of_their_class_as_area(values):
    """Also of a class with one row, for curves and for bars; what lies far outside is
    left out.
    """
    rng = np.random.default_rng(0)
    x = {"a": rng.integers(0, values, 30) / 4, "b": rng.integers(0, values, 9) / 4}
    x["c"] = np.zeros(1)
    rows = {label: {"x": v} for label, v in x.items()}
    far = {"a": {"x": np.array([0.0, 1e6])}, "b": {"x": np.zeros(0)}}
    panels = {"real": rows, "generated": far}
    heights = tables._heights("x", panels, (-20.0, 40.0))
    for title, shares in (("real", (30, 9, 1, 40)), ("generated", (1, 0, 2))):
        for (at, height, bar), num in zip(
            heights[title].values(), shares, strict=False
        ):
            area = height.sum() if bar else height.sum() * (at[1] - at[0])
            assert bool(bar) == (values < 40)
            np.testing.assert_allclose(area, num / shares[-1], atol=1e-3)


def test_scatters_show_rows_in_given_colours(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=40)
    kinds = {"kind": np.array(["a", "b"] * 20)}

    def save(path, columns):
        tables.save_scatters(path, {"real": {"x": x, "y": y}, "noisy": columns}, kinds)

    assert differs(save, tmp_path, {"x": x, "y": y}, {"x": y, "y": x})


def test_pairs_of_one_numeric_column_and_of_none_of_text(tmp_path):
    x = np.arange(20.0)

    def save(path, x):
        tables.save_pairs(path, {"real": {"x": x}})

    assert differs(save, tmp_path, x, x**3)


def test_pairs_of_a_constant_column(tmp_path):
    path = tmp_path / "constant.png"
    tables.save_pairs(path, {"real": {"x": np.ones(5), "y": np.arange(5.0)}})
    with Image.open(path) as file:
        assert np.asarray(file.convert("L")).std() > 1
