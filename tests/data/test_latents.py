"""Codes as data, under encoders whose codes can be worked out by hand."""

from dataclasses import replace
from pathlib import Path

import chex
import numpy as np
import pytest

from jaxdiff.data import batches, images, latents, synthetic
from jaxdiff.files import NoRoom
from jaxdiff.lock import locked


def stage(tmp_path, checksum="a", num_classes=3, calls=None):
    """Codes are -2 x + 3 of every second pixel; decoded, a pixel fills its two."""

    def encode(x):
        if calls is not None:
            calls.append(len(x))
        return 3 - 2 * x[:, ::2]

    def decode(z):
        return np.repeat((3 - z) / 2, 2, axis=1)

    source = synthetic.make((4, 2, 1), num_classes, 600)
    return latents.FirstStage(source, encode, decode, checksum, tmp_path / "latents")


def test_codes_labels_and_images_correspond(tmp_path):
    first = stage(tmp_path)
    source = latents.make(first)
    index = np.array([599, 0, 251, 251])
    x, inner = first.source[index]["x"], first.source[index]
    np.testing.assert_array_equal(source[index]["x"], 3 - 2 * x[:, ::2])
    np.testing.assert_array_equal(source[index]["cond"], inner["cond"])
    assert (source.shape, len(source), source.num_classes) == ((2, 2, 1), 600, 3)
    pixels = source.decode(source[index]["x"])
    expected = first.source.decode(np.repeat(x[:, ::2], 2, axis=1))
    np.testing.assert_allclose(pixels, expected, atol=1e-3)
    assert source.is_image and source.peak == 255


def test_data_without_labels_stay_so(tmp_path):
    source = latents.make(stage(tmp_path, num_classes=0))
    assert source[np.arange(2)]["cond"] is None


def test_conditions_that_are_trees_are_kept_with_the_codes(tmp_path):
    first = stage(tmp_path, num_classes=0)

    def load(index):
        words = np.stack([index, index + 0.5], -1).astype(np.float32)
        words = np.asfortranarray(words)  # files have rows one after the other
        cond = {"words": words, "mask": words > 3, "nothing": None}
        return {**first.source.load(index), "cond": cond}

    inner = replace(first.source, load=load, null={"words": 0.0})
    for _ in range(2):  # encoded, then read back
        source = latents.make(first._replace(source=inner))
        index = np.array([599, 0, 251, 251])
        got, expected = source[index]["cond"], inner[index]["cond"]
        chex.assert_trees_all_equal(got, expected)
        assert got["mask"].dtype == bool and source.null == inner.null
    names = {p.name for p in (tmp_path / "latents").rglob("*.npy")}
    assert names == {"codes.npy", "cond-0.npy", "cond-1.npy"}


def test_encoded_once_and_anew_by_another_encoder(tmp_path):
    calls = []
    for checksum in ("a", "a", "b"):
        latents.make(stage(tmp_path, checksum, calls=calls))
    assert calls == [250] * 6  # three chunks of one shape, twice
    assert sorted(p.name for p in (tmp_path / "latents").iterdir()) == ["a", "b"]


def test_what_was_cut_short_is_not_taken_for_whole(tmp_path):
    def fail(x):
        raise KeyboardInterrupt

    first = stage(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        latents.make(first._replace(encode=fail))
    source = latents.make(first)
    np.testing.assert_array_equal(
        source[np.arange(600)]["x"], first.encode(first.source[np.arange(600)]["x"])
    )


def test_two_processes_do_not_encode_the_same(tmp_path):
    first = stage(tmp_path)
    with (
        locked(first.folder),
        pytest.raises(ValueError, match="latents is being written by process"),
    ):
        latents.make(first)
    latents.make(first)
    with locked(first.folder):  # who only reads does not mind
        latents.make(first)


def test_codes_without_room_are_named(tmp_path, monkeypatch):
    first = stage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(latents, "_cond_files", lambda *_: iter([Path("/dev/full")]))
        with pytest.raises(NoRoom, match="latents/a cannot be written: No space"):
            latents.make(first)
    assert len(latents.make(first)) == 600
    names = {p.name for p in first.folder.rglob("*") if p.is_file()}
    assert names == {"codes.npy", "labels.npy"}


def test_another_checksum_than_the_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data\.checksum=b, but the encoder .* has a"):
        latents.make(stage(tmp_path), "b")
    assert not (tmp_path / "latents").exists()


def test_standardised_codes_have_unit_variance_and_decode_to_the_same(tmp_path):
    plain = latents.make(stage(tmp_path))
    source, index = images.standardise(plain), np.arange(600)
    x = source[index]["x"].astype(np.float64)
    assert abs(x.mean()) < 1e-5 and abs(x.std() - 1) < 1e-5
    np.testing.assert_allclose(
        source.decode(source[index]["x"]), plain.decode(plain[index]["x"]), atol=1e-2
    )
    assert source.bounds is None and source.checksum == "a"


def test_codes_are_not_mirrored(tmp_path):
    source = latents.make(stage(tmp_path))
    with pytest.raises(ValueError, match="flip=True"):
        batches.batch_at(source, 0, batch_size=2, seed=0, flip=True)


@pytest.mark.parametrize("name", ["codes", "labels"])
def test_a_file_of_codes_that_is_damaged_is_named(name, tmp_path):
    first = stage(tmp_path)
    latents.make(first)
    path = first.folder / first.checksum / f"{name}.npy"
    data, array = path.read_bytes(), np.load(path)
    for other in (data[:-1], data[:60], b"", data[::-1]):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=rf"{name}\.npy cannot be read .*; delete"):
            latents.make(first)
    # of two files that disagree on the rows, either may be the damaged one
    for other, named in ((array[:-1], "labels"), (array.astype(np.float64), name)):
        np.save(path, other)
        with pytest.raises(ValueError, match=rf"{named}\.npy has .* instead of"):
            latents.make(first)
