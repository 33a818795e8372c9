"""TFDS data sets, on tiny ones written here without TensorFlow."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2

from jaxdiff.data import tfds
from jaxdiff.data.batches import batch_at

KIND = "tensorflow_datasets.core.features."
LABELS = np.array([2, 0, 1, 2, 1, 0, 2, 2, 0, 1])


def picture(i: int, h: int = 4, w: int = 6, c: int = 1) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (h, w, c), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, "PNG")
    return out.getvalue()


def write(
    root: Path,
    name: str,
    pictures: list[np.ndarray],
    labels=None,
    shape=(4, 6, 1),
    file_format="array_record",
) -> None:
    """A data set as `tfds build` leaves it: `train` holds all but the last two."""
    folder = root / name / "1.0.0"
    folder.mkdir(parents=True)
    sizes = {"train": len(pictures) - 2, "test": 2}
    first = 0
    for split, n in sizes.items():
        path = folder / f"{name}-{split}.{file_format}-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for i in range(first, first + n):
            example = tf_example_pb2.Example()
            features = example.features.feature
            features["image"].bytes_list.value.append(png(pictures[i]))
            if labels is not None:
                features["label"].int64_list.value.append(int(labels[i]))
            writer.write(example.SerializeToString())
        writer.close()
        first += n
    info = {
        "name": name,
        "version": "1.0.0",
        "fileFormat": file_format,
        "splits": [
            {
                "name": split,
                "shardLengths": [str(n)],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
            for split, n in sizes.items()
        ],
    }
    dimensions = [str(n or -1) for n in shape]
    image = {"dtype": "uint8", "shape": {"dimensions": dimensions}}
    features = {
        "image": {"pythonClassName": KIND + "image_feature.Image", "image": image}
    }
    if labels is not None:
        features["label"] = {
            "pythonClassName": KIND + "class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "3"},
        }
        (folder / "label.labels.txt").write_text("ant\nbee\ncow\n")
    both = {
        "pythonClassName": KIND + "features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(both))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("tfds")
    pictures = [picture(i) for i in range(10)]
    write(path, "beasts", pictures, LABELS)
    write(path, "plain", pictures)
    sizes = [picture(i, 4 + i, 6, 3) for i in range(6)]
    write(path, "ragged", sizes, shape=(None, None, 3))
    write(path, "old", pictures, LABELS, file_format="tfrecord")
    return str(path)


@pytest.mark.parametrize("max_bytes", [0, tfds.MAX_BYTES])
class TestBothWays:
    """Held in memory (small) or read from disk as needed (big): the same source."""

    @pytest.fixture(autouse=True)
    def limit(self, monkeypatch, max_bytes):
        monkeypatch.setattr(tfds, "MAX_BYTES", max_bytes)

    def test_images_and_labels(self, root):
        source = tfds.make("beasts", data_dir=root)
        batch = source[np.arange(8)]
        assert (len(source), source.shape) == (8, (4, 6, 1))
        assert source.class_names == ("ant", "bee", "cow")
        assert batch["x"].dtype == np.float32
        assert (batch["cond"] == LABELS[:8]).all()
        pixels = np.stack([picture(i) for i in range(8)])
        assert source.decode(batch["x"]) == pytest.approx(pixels, abs=1e-3)
        assert batch["x"] == pytest.approx(pixels / 127.5 - 1, abs=1e-6)

    def test_label_filter(self, root):
        source = tfds.make("beasts", data_dir=root, labels=(2, 0), low=0.0)
        batch = source[np.arange(len(source))]
        where = [i for i in range(8) if LABELS[i] in (2, 0)]
        assert source.class_names == ("cow", "ant")
        assert batch["cond"].tolist() == [int(LABELS[i] == 0) for i in where]
        pixels = np.stack([picture(i) for i in where])
        assert batch["x"] == pytest.approx(pixels / 255, abs=1e-6)

    def test_splits_add_up(self, root):
        source = tfds.make("beasts", split="train[:50%]+test", data_dir=root)
        index = [0, 1, 2, 3, 8, 9]
        assert (source[np.arange(6)]["cond"] == LABELS[index]).all()

    def test_without_labels(self, root):
        source = tfds.make("plain", split="test", data_dir=root)
        assert source.num_classes == 0
        assert source[np.arange(2)]["cond"] is None

    def test_resize(self, root):
        source = tfds.make("ragged", data_dir=root, size=4)
        assert source.shape == (4, 4, 3)
        # The first is 4x6: its middle 4x4 needs no interpolation.
        pixels = source.decode(source[np.arange(4)]["x"])[0]
        assert pixels == pytest.approx(picture(0, 4, 6, 3)[:, 1:5], abs=1e-3)

    def test_batches(self, root):
        source = tfds.make("beasts", data_dir=root)
        batch = batch_at(source, np.arange(2), batch_size=4, seed=0)
        assert sorted(batch["cond"].ravel()) == sorted(LABELS[:8])


def test_environment_names_the_folder(root, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", root)
    assert len(tfds.make("beasts:1.0.0")) == 8


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"dataset": "beats"}, ValueError, "no 'beats'; did you mean 'beasts'"),
        ({"dataset": "mnits"}, ValueError, "did you mean 'mnist'"),
        ({"dataset": "a b"}, ValueError, "no 'a b'"),
        ({"dataset": "mnist"}, FileNotFoundError, "tfds build mnist"),
        ({"dataset": "beasts:9.9.9"}, FileNotFoundError, r"beasts:9\.9\.9"),
        ({"dataset": "old"}, ValueError, "tfrecord.*--file_format=array_record"),
        ({"split": "trian"}, ValueError, r"mean 'train'\? It has: train \(8\), test"),
        ({"split": "train[:"}, ValueError, r"split='train\[:'"),
        ({"split": ""}, ValueError, "split=''"),
        ({"split": "train[:0]"}, ValueError, r"split='train\[:0\]'"),
        ({"labels": (3,)}, ValueError, "from 0 to 2"),
        ({"dataset": "plain", "labels": (1,)}, ValueError, "no labels"),
        ({"split": "test", "labels": (2,)}, ValueError, "no example"),
        ({"dataset": "ragged"}, ValueError, "set size"),
        ({"low": 1.5}, ValueError, r"low=1\.5"),
        ({"size": -2}, ValueError, "size=-2"),
    ],
)
def test_errors_are_one_line_and_touch_no_file(root, fields, kind, words, capfd):
    before = sorted(Path(root).rglob("*"))
    with pytest.raises(kind, match=words) as error:
        tfds.make(**{"dataset": "beasts", "data_dir": root} | fields)
    assert "\n" not in str(error.value)
    assert sorted(Path(root).rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_a_missing_folder_is_not_made(tmp_path):
    place = tmp_path / "none"
    with pytest.raises(FileNotFoundError, match="none"):
        tfds.make("mnist", data_dir=str(place))
    assert not place.exists()


def test_tensorflow_is_not_needed(root):
    tfds.make("beasts", data_dir=root)
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("cut", [10, 66_000])
def test_a_damaged_shard_is_named(tmp_path, monkeypatch, cut):
    """The one shard of two that is cut short, by metadata and by pictures."""
    write(tmp_path, "beasts", [picture(i) for i in range(10)], LABELS)
    path = tmp_path / "beasts/1.0.0/beasts-test.array_record-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-cut])
    words = r"1\.0\.0/beasts-test\.array_record-0.* cannot be read .* damaged; build"
    with pytest.raises(ValueError, match=words):
        tfds.make("beasts", split="train+test", data_dir=str(tmp_path))
    for name in ("dataset_info.json", "features.json"):
        (tmp_path / "beasts/1.0.0" / name).write_text('{"a')
        with pytest.raises(ValueError, match=r"beasts.*cannot be read .*damaged"):
            tfds.make("beasts", data_dir=str(tmp_path))


def test_a_place_that_is_not_there_is_no_place_to_build_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", "mistyped")
    with pytest.raises(FileNotFoundError, match=r"in mistyped \(no such folder\)") as e:
        tfds.make("mnist")
    assert "--data_dir=mistyped" not in str(e.value) and str(tmp_path) not in str(
        e.value
    )
    assert str(Path.home()) in str(e.value)


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
def test_features_of_another_package_are_not_imported(tmp_path, monkeypatch, key):
    """TFDS itself imports the module that features.json names."""
    write(tmp_path, "beasts", [picture(i) for i in range(4)])
    (path,) = tmp_path.rglob("features.json")
    stored = json.loads(path.read_text())
    stored["featuresDict"]["features"]["more"] = {key: "stranger.X", "content": {}}
    path.write_text(json.dumps(stored))
    (tmp_path / "stranger.py").write_text("raise AssertionError('it ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r"features.json names code .*stranger\.X"):
        tfds.make("beasts", data_dir=str(tmp_path))
