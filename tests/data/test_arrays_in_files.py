"""MNIST's format and .npz files: what is read, what is downloaded, what is refused."""

import gzip
import hashlib

import numpy as np
import pytest

from jaxdiff.data import arrays, huggingface, mnist, npz
from tests.data.test_sources import mnist as write_mnist

PIXELS = np.arange(96, dtype=np.uint8).reshape(6, 4, 4)
LABELS = np.array([3, 1, 3, 1, 3, 3])


def test_mnist_is_read_as_it_is_and_compressed(tmp_path):
    write_mnist(tmp_path)
    train = mnist.make(str(tmp_path))
    test = mnist.make(str(tmp_path), split="test")
    index = np.arange(4)
    np.testing.assert_array_equal(train[index]["x"], test[index]["x"])
    assert train.shape == (4, 4, 1) and train.num_classes == 10
    assert train[index]["cond"].tolist() == [0, 1, 2, 3]
    some = mnist.make(str(tmp_path), labels=(3, 1), low=0.0)
    assert some.class_names == ("3", "1") and some[np.arange(2)]["cond"].tolist() == [
        1,
        0,
    ]


def test_mnist_without_examples_is_named(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(
        ValueError, match=r"data\.labels=\(9,\): .* classes 0, 1, 2, 3$"
    ):
        mnist.make(str(tmp_path), labels=(9,))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + bytes(12))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + bytes(4))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte has no pixels"):
        mnist.make(str(tmp_path))


def test_mnist_is_downloaded_on_request_alone(tmp_path, monkeypatch):
    """From a folder that stands for the server; a file there already is kept."""
    server, folder = tmp_path / "server", tmp_path / "mine"
    server.mkdir()
    write_mnist(server)
    names = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    contents = {name: (server / name).read_bytes() for name in names}
    sums = {n: hashlib.md5(content).hexdigest() for n, content in contents.items()}
    monkeypatch.setattr(mnist, "URL", server.as_uri() + "/")
    monkeypatch.setattr(mnist, "FILES", mnist.FILES | sums)
    with pytest.raises(FileNotFoundError, match=r"t10k-images.*data\.download=True"):
        mnist.make(str(folder), split="test")
    assert not folder.exists()
    source = mnist.make(str(folder), split="test", download=True)
    assert len(source) == 4 and {p.name for p in folder.iterdir()} == {*names}
    monkeypatch.setattr(mnist, "URL", "file:///nowhere/")
    assert len(mnist.make(str(folder), split="test", download=True)) == 4
    (folder / names[0]).unlink()
    monkeypatch.setattr(mnist, "URL", server.as_uri() + "/")
    (server / names[0]).write_bytes(b"other")
    with pytest.raises(OSError, match="is another file than MNIST's"):
        mnist.make(str(folder), split="test", download=True)
    assert not (folder / names[0]).exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no IDX file of 3 axes"),
        (b"\x00\x00\x08\x01" + b"\0" * 12, "no IDX file of 3 axes"),
        (b"\x00\x00\x08\x03\x00\x00\x00\x04" + b"\0" * 8 + b"1", "or it is cut short"),
        # 2^31 x 2^31 x 4 values are 0 in 64 bits
        (b"\0\0\x08\x03" + b"\x80\0\0\0" * 2 + b"\0\0\0\x04", "no IDX file of 3 axes"),
        (b"\0\0\x08\x03" + b"\0\0\0\x04" + b"\0" * 8, "has no pixels"),
    ],
)
def test_damaged_files_are_named(content, words, tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte is {words}|{words}"):
        mnist.make(str(tmp_path))
    whole = gzip.compress(b"a" * 1000)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte\.gz cannot be read"):
        mnist.make(str(tmp_path), split="test")
    with pytest.raises(ValueError, match="train or test, got 'val'"):
        mnist.make(str(tmp_path), split="val")
    with pytest.raises(ValueError, match=r"data\.path is missing"):
        mnist.make("")


def test_an_npz_with_splits_is_that_of_its_split(tmp_path):
    """The names of Keras's mnist.npz, and of MedMNIST's files."""
    path = str(tmp_path / "a.npz")
    for names in (("x_{}", "y_{}"), ("{}_images", "{}_labels")):
        x, y = names
        values = {x.format("train"): PIXELS, y.format("train"): LABELS[:, None]}
        values |= {x.format("test"): PIXELS[:2], y.format("test"): LABELS[:2, None]}
        np.savez(path, **values)
        train, test = npz.make(path), npz.make(path, split="test")
        assert (len(train), len(test)) == (6, 2)
        assert train.class_names == ("1", "3") and train.shape == (4, 4, 1)
        decoded = train.decode(train[np.arange(6)]["x"])[..., 0]
        np.testing.assert_allclose(decoded, PIXELS, atol=1e-4)
        with pytest.raises(
            ValueError, match=r"split='val': .* has test, train; its arr"
        ):
            npz.make(path, split="val")


def test_an_npz_of_columns_is_a_table(tmp_path):
    path = str(tmp_path / "a.npz")
    np.savez(path, a=np.arange(6.0), kind=np.array(["x", "y"])[np.arange(6) % 2])
    assert npz.make(path).layout.names == ("a", "kind")
    np.savez(path, x=np.random.default_rng(0).normal(size=(6, 2)), y=LABELS)
    rows = npz.make(path)
    assert rows.layout.names == ("x0", "x1") and rows.class_names == ("1", "3")


def test_bytes_are_text(tmp_path):
    path, kinds = (
        str(tmp_path / "a.npz"),
        np.array([b"a", "\xe9".encode()])[LABELS // 3],
    )
    np.savez(path, x=PIXELS, y=kinds)
    assert npz.make(path).class_names == ("a", "\xe9")
    np.savez(path, height=COLUMN, kind=kinds)
    assert npz.make(path).layout["kind"].categories == ("a", "\xe9")
    for name in ("height", "images"):
        values = PIXELS if name == "images" else COLUMN
        np.savez(path, **{name: values, "kind": np.array([b"\xe9", b"b"])[LABELS // 3]})
        with pytest.raises(ValueError, match=r"a\.npz: (kind|labels) must be UTF-8"):
            npz.make(path)


COLUMN = np.arange(6.0)


@pytest.mark.parametrize(
    "names",
    [
        ("epoch", "train_loss", "val_loss"),
        ("train_speed", "height"),
        ("test_score", "height"),
        ("train_loss", "val_loss"),
    ],
)
def test_in_a_table_the_names_of_splits_are_those_of_columns(tmp_path, names):
    path = str(tmp_path / "a.npz")
    np.savez(path, **{name: COLUMN + i for i, name in enumerate(names)})
    assert npz.make(path).layout.names == names
    with pytest.raises(ValueError, match=r"split='val': .* has none; its arrays are"):
        npz.make(path, split="val")


def test_tables_of_other_lengths_are_splits(tmp_path):
    path = str(tmp_path / "a.npz")
    ends = {"train": COLUMN, "test": COLUMN[:3]}
    np.savez(path, **{f"{n}_{s}": v for s, v in ends.items() for n in "ab"})
    train, test = npz.make(path), npz.make(path, split="test")
    assert train.layout.names == ("a", "b") and (len(train), len(test)) == (6, 3)


def test_arrays_of_no_split_beside_splits_are_named(tmp_path):
    path = str(tmp_path / "a.npz")
    np.savez(path, x_train=PIXELS, y_train=LABELS, x_test=PIXELS, class_names=["a"])
    source = npz.make(path)
    assert len(source) == 6 and source.class_names == ("1", "3")
    assert source.notes == (f"{path}: left out 1 arrays of no split: class_names",)
    # one array of images and its labels are no splits
    np.savez(path, train_images=PIXELS, labels=LABELS)
    assert npz.make(path).class_names == ("1", "3") and not npz.make(path).notes


def test_every_bit_of_a_damaged_file_names_it(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=COLUMN, b=COLUMN)
    whole, refused = path.read_bytes(), 0
    flipped = [
        whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        for at in range(0, len(whole), 3)
    ]
    cut = [whole[:size] for size in (0, 1, 30, len(whole) // 2, len(whole) - 1)]
    for content in (*flipped, *cut):
        path.write_bytes(content)
        try:
            npz.make(str(path))
        except ValueError as error:
            assert f"data.path={path}" in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 20 + len(cut)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a\.npz"):
        npz.make(str(path))
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match=r"a\.npz is no \.npz of arrays"):
        npz.make(str(path))
    np.savez(path, a=np.array([{}], object))
    with pytest.raises(ValueError, match=r"a\.npz is no \.npz of arrays"):
        npz.make(str(path))
    np.savez(path, x=PIXELS / 255.0)
    with pytest.raises(ValueError, match=r"a\.npz: data must be uint8 images"):
        npz.make(str(path))


LEVELS = np.arange(256).reshape(1, 16, 16)


@pytest.mark.parametrize(
    ("x", "pixels"),
    [
        (LEVELS, LEVELS),
        (LEVELS.astype(np.float32), LEVELS),
        ((LEVELS / 255).astype(np.float32), LEVELS),
        ((LEVELS / 127.5 - 1).astype(np.float32), LEVELS),
        (LEVELS > 9, 255 * (LEVELS > 9)),
        ((257 * LEVELS).astype(np.uint16), LEVELS),
        ((LEVELS - 128).astype(np.int8), LEVELS),
        (1e3 * LEVELS - 7.0, LEVELS),
    ],
    ids=lambda x: f"{x.dtype}",
)
def test_the_cure_for_images_that_are_not_uint8_keeps_them(x, pixels):
    with pytest.raises(ValueError, match="bring images to 0") as error:
        arrays.as_source(x)
    cured = eval(str(error.value).rpartition("255: ")[2], {"np": np, "x": x})
    assert cured.dtype == np.uint8
    np.testing.assert_array_equal(cured, pixels)


def test_a_hub_data_set_needs_a_name_or_a_folder():
    for given in ({}, {"dataset": "a", "path": "b"}):
        with pytest.raises(ValueError, match=r"data\.dataset.*one of the two"):
            huggingface.make(**given)
