"""What is held out of training, of every source."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from PIL import Image

from configs import base
from jaxdiff import build
from jaxdiff.data import arrays, batches, holdout, images, synthetic, table
from jaxdiff.data.source import Source
from tests.data.test_sources import EXAMPLES, SOURCES
from tests.data.test_tfds import picture

# Sources of three rows to five: of images all are held out but the last of each class.
SHARES = dict.fromkeys(("folder", "mnist", "npz", "tfds"), ".9999") | {"table": ".67"}


def everything(source):
    return source[np.arange(len(source))]


def rows(source):
    """In data units, so that other units make no difference."""
    values = source.decode(everything(source)["x"])
    if isinstance(values, dict):
        return [*zip(*(column.tolist() for column in values.values()), strict=True)]
    return [image.tobytes() for image in values]


def numbers(source):
    """Of each image, in [0, 1): 64 bits of BLAKE2 of its values."""
    digests = [hashlib.blake2b(x, digest_size=8) for x in everything(source)["x"]]
    return np.array([int(d.hexdigest(), 16) for d in digests]) / 2.0**64


def blank(n, labels=None):
    """Images that differ, u8[n, 2, 2, 1]."""
    pixels = np.arange(4 * n, dtype=np.uint8).reshape(n, 2, 2, 1)
    names = "abcdefgh"[: 0 if labels is None else max(labels) + 1]
    labels = None if labels is None else np.array(labels)
    return images.from_array(pixels, labels, names, low=-1.0)


@pytest.mark.parametrize("name", SOURCES)
def test_training_and_held_out_examples_are_all_and_none_is_both(name, tmp_path):
    fields = EXAMPLES[name](tmp_path)
    if name == "mnist":  # a class each, of which the last is kept
        fields |= {"labels": (0, 1)}
        two = np.stack([np.full((4, 4), i, np.uint8) for i in range(8)])
        for part, values in (("images-idx3", two), ("labels-idx1", np.arange(8) % 2)):
            head = struct.pack(
                f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape
            )
            content = head + values.astype(np.uint8).tobytes()
            (tmp_path / f"train-{part}-ubyte").write_bytes(content)
    if name == "folder":  # of the example all are one picture
        for i in range(4):
            Image.fromarray(picture(i, 4, 6, 3)).save(tmp_path / "a" / f"{i}.png")
    whole = SOURCES[name](**fields)
    coded = fields.get("first_stage")
    parted = holdout.split(whole, SHARES.get(name, ".3"), images=coded and coded.source)
    others = parted.holdout()
    assert len(others) >= 1 and len(parted) + len(others) == len(whole)
    if name == "iris":  # it has equal rows
        assert sorted(rows(parted) + rows(others)) == sorted(rows(whole))
    else:
        assert {*rows(parted)} | {*rows(others)} == {*rows(whole)}
        assert not {*rows(parted)} & {*rows(others)}
    assert parted.shape == others.shape == whole.shape
    assert parted.class_names == others.class_names == whole.class_names


def test_the_order_of_rows_depends_on_their_number_alone():
    source = table.from_columns({"x": np.arange(20.0)})
    a, b = (holdout.rows(source, share) for share in (0.25, 0.5))
    assert len(a) == 5 and len(b) == 10 and {*a} < {*b}
    assert {*a} == {*batches.dealt(20)[:5].tolist()}


def test_images_that_are_added_move_no_other_one():
    before, after = (holdout.rows(blank(n), 0.25) for n in (50, 60))
    np.testing.assert_array_equal(before, np.flatnonzero(numbers(blank(50)) < 0.25))
    np.testing.assert_array_equal(before, after[after < 50])
    assert {*before} < {*holdout.rows(blank(50), 0.5)}


def test_images_too_many_to_hash_are_dealt_like_rows(monkeypatch):
    monkeypatch.setattr(holdout, "MOST_VALUES", 79)
    assert {*holdout.rows(blank(20), 0.25)} == {*batches.dealt(20)[:5].tolist()}
    assert len(holdout.rows(blank(19), 0.5)) != 0  # 76 values are hashed
    parted = holdout.split(blank(20), ".25")
    holdout.check_same(parted, parted, ".25", 20)
    with pytest.raises(ValueError, match="of 20 examples, where the run began with 19"):
        holdout.check_same(parted, parted, ".25", 19)


def test_rows_that_are_added_to_a_table_are_refused_and_images_not():
    values = table.from_columns({"x": np.arange(20.0)})
    with pytest.raises(ValueError, match=r"holds others out.*another --workdir"):
        parted = holdout.split(values, ".25")
        holdout.check_same(parted, parted, ".25", 21)
    holdout.check_same(parted, parted, "test", 21)
    parted = holdout.split(blank(20), ".25")
    holdout.check_same(parted, parted, ".25", 19)


def test_identical_images_are_on_one_side():
    pixels = np.random.default_rng(0).integers(0, 255, (10, 2, 2, 1), np.uint8)
    source = images.from_array(np.repeat(pixels, 5, axis=0), None, (), low=0.0)
    held = holdout.rows(source, 0.5)
    np.testing.assert_array_equal(held, np.flatnonzero(numbers(source) < 0.5))
    assert np.isin(np.arange(50) // 5, held // 5).sum() == len(held)


def test_rows_of_a_table_are_dealt_one_by_one():
    source = table.from_columns({"a": ["x", "y"] * 50, "b": ["u"] * 50 + ["v"] * 50})
    assert len(holdout.rows(source, 0.3)) == 30  # of four different rows


@pytest.mark.parametrize("of_table", [True, False])
def test_a_class_is_trained_on_wherever_its_only_example_is_dealt(of_table):
    place = (
        np.argsort(batches.dealt(20)) if of_table else numbers(blank(20)) * 20
    ) / 20
    first = place.argmin()
    labels = np.zeros(20, int)
    labels[first] = 1
    source = blank(20, labels)
    if of_table:
        names = np.array(["often", "once"])
        source = table.from_columns({"x": np.arange(20.0), "kind": names[labels]})
    held = holdout.rows(source, 0.25)
    assert {*held} == {*np.flatnonzero(place < 0.25)} - {first} and len(held)
    parted = holdout.split(source, ".25")
    if of_table:
        kinds = parted.decode(everything(parted)["x"])["kind"]
        assert {*kinds} == {"often", "once"}


def test_units_are_those_of_the_training_rows():
    """Worked by hand: mean and deviation of the rows that are not held out."""
    values = np.arange(10.0) ** 2
    parted = holdout.split(table.from_columns({"x": values}), ".3")
    held = holdout.rows(table.from_columns({"x": values}), 0.3)
    train = np.delete(values, held)
    x, other = everything(parted)["x"], everything(parted.holdout())["x"]
    np.testing.assert_allclose(x[:, 0], (train - train.mean()) / train.std(), rtol=1e-5)
    expected = (values[held] - train.mean()) / train.std()
    np.testing.assert_allclose(other[:, 0], expected, rtol=1e-5)


def test_moments_are_measured_of_training_images_alone():
    config = base.get_config()
    config.data.update({"name": "synthetic", "holdout": ".4", "standardise": True})
    source = build.make_source(config)
    config.data.standardise = False
    plain = build.make_source(config)
    v = (everything(plain)["x"].astype(np.float64) + 1) / 2
    np.testing.assert_allclose(source.moments[0], v.mean(), rtol=1e-6)
    np.testing.assert_allclose(source.moments[1], v.std(), rtol=1e-6)
    other, raw = everything(source.holdout())["x"], everything(plain.holdout())["x"]
    np.testing.assert_allclose(other, ((raw + 1) / 2 - v.mean()) / v.std(), atol=1e-4)


def test_conditions_stay_beside_their_rows():
    source = synthetic.make((2,), num_classes=3, num_examples=30)
    parted = holdout.split(source, ".3")
    for part in (parted, parted.holdout()):
        values = np.stack([*part.decode(everything(part)["x"]).values()], 1)
        whole = np.stack([*source.decode(everything(source)["x"]).values()], 1)
        row = np.abs(whole[None] - values[:, None]).sum(-1).argmin(1)
        np.testing.assert_array_equal(everything(part)["cond"], row % 3)


def test_another_split_is_held_out_and_what_is_in_both_is_not(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (9, 4, 4, 1), np.uint8)
    label, path = np.arange(9) % 2, tmp_path / "a.npz"
    shared = {"x_train": pixels[:6], "y_train": label[:6]}
    np.savez(path, x_test=pixels[4:], y_test=label[4:], **shared)
    config = base.get_config()
    config.data.update({"name": "npz", "path": str(path), "holdout": "test"})
    source = build.make_source(config)
    assert len(source) == 6 and len(source.holdout()) == 3
    assert not {*rows(source)} & {*rows(source.holdout())}
    assert "without 2 that are trained on too" in source.notes[-1]
    # a change of the other split is a change of the data
    before = source.fingerprint()
    np.savez(path, x_test=pixels[5:], y_test=label[5:], **shared)
    assert build.make_source(config).fingerprint() != before
    config.data.holdout = "train"
    with pytest.raises(ValueError, match="no image that is not trained on too"):
        build.make_source(config)


def test_another_split_of_other_shape_or_classes_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    small, large = (np.zeros((4, k, k, 1), np.uint8) for k in (4, 5))
    np.savez(path, x_train=small, x_test=large)
    config = base.get_config()
    config.data.update({"name": "npz", "path": str(path), "holdout": "test"})
    with pytest.raises(ValueError, match=r"holdout=test does not fit.*shape"):
        build.make_source(config)


def test_mnist_and_tfds_have_another_split(tmp_path):
    fields = EXAMPLES["mnist"](tmp_path)
    config = base.get_config()
    config.data.update({"name": "mnist", "holdout": "test", **fields})
    content = gzip.decompress((tmp_path / "t10k-images-idx3-ubyte.gz").read_bytes())
    content = content[:16] + bytes(64 - i for i in range(64))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(content)
    source = build.make_source(config)
    assert len(source) == len(source.holdout()) == 4


@pytest.mark.parametrize(
    ("share", "words"),
    [
        ("1.5", "above 0 and below 1"),
        ("-.1", "above 0 and below 1"),
        ("nan", "above 0 and below 1"),
        ("0.0001", "of 20 examples is none"),
        ("0.9999", "of 20 examples is all of them"),
        ("test", "names a split, and these data have none"),
    ],
)
def test_a_share_or_split_that_cannot_be_is_refused_in_a_line(share, words):
    with pytest.raises(ValueError, match=words) as error:
        holdout.split(blank(20), share)
    assert "\n" not in str(error.value)


def test_a_constant_column_of_what_is_left_is_refused():
    held = holdout.rows(table.from_columns({"x": np.arange(10.0)}), 0.2)
    values = np.zeros(10)
    values[held] = 1
    with pytest.raises(ValueError, match=r"data\.holdout=\.2: column 'x' is the same"):
        holdout.split(table.from_columns({"x": values}), ".2")


def test_what_is_derived_of_a_parted_source_keeps_or_drops_its_holdout():
    parted = holdout.split(blank(20), ".25")
    assert holdout.split(parted, ".25") is parted
    from jaxdiff.data.source import as_pixels, take

    assert take(parted, np.arange(3)).holdout is None
    assert as_pixels(parted).holdout is None
    assert isinstance(arrays.as_source(parted).holdout(), Source)
