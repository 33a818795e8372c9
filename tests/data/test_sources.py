"""Every source in the folder: what the rest of the program counts on of any data."""

import gzip
import inspect
import struct

import jax
import numpy as np
import pytest
from PIL import Image

import jaxdiff.data
from jaxdiff import choices, schema
from jaxdiff.data import synthetic
from jaxdiff.data.latents import FirstStage
from tests.data.test_tfds import picture, write

SOURCES = choices.members(jaxdiff.data)


def folder(path):
    for name in ("a/1", "a/2", "b/1"):
        file = path / f"{name}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(len(name), 4, 6, 3)).save(file)
    return {"path": str(path)}


def latents(path):
    inner = synthetic.make((4, 4, 1), num_classes=3, num_examples=20)
    coder = (lambda x: x[:, ::2], lambda z: np.repeat(z, 2, axis=1))
    return {"first_stage": FirstStage(inner, *coder, "a", path)}


def npz(path):
    pixels = np.stack([picture(i, 4, 6, 3) for i in range(5)])
    np.savez(path / "a.npz", image=pixels, label=np.arange(5) % 2)
    return {"path": str(path / "a.npz")}


def mnist(path):
    """Four images in the format of the real ones, as they are and compressed."""
    pixels, digits = np.stack([picture(i, 4, 4, 1) for i in range(4)]), np.arange(4)
    for name, values in (("images-idx3", pixels[..., 0]), ("labels-idx1", digits)):
        head = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
        content = head + values.astype(np.uint8).tobytes()
        (path / f"train-{name}-ubyte").write_bytes(content)
        (path / f"t10k-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    return {"path": str(path)}


def huggingface(path):
    datasets = pytest.importorskip("datasets")
    kind = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {"image": [Image.fromarray(picture(i, 4, 6, 3)) for i in range(5)]}
    rows["label"] = [0, 1, 0, 1, 1]
    data = datasets.Dataset.from_dict(rows, features=kind)
    datasets.DatasetDict({"train": data}).save_to_disk(str(path / "saved"))
    return {"path": str(path / "saved")}


def table(path):
    (path / "t.csv").write_text("a,b\n1.0,x\n2.5,y\n2.0,x\n")
    return {"path": str(path / "t.csv")}


def tfds(path):
    write(path, "beasts", [picture(i) for i in range(6)], np.arange(6) % 3)
    return {"dataset": "beasts", "data_dir": str(path)}


# Name -> an empty folder -> the fields that the source is made with, for tests.
EXAMPLES = {
    "digits": lambda path: {},
    "folder": folder,
    "huggingface": huggingface,
    "iris": lambda path: {},
    "latents": latents,
    "mnist": mnist,
    "npz": npz,
    "synthetic": lambda path: {"num_examples": 12},
    "table": table,
    "tfds": tfds,
}
# What build.py gives beside fields of config.data; the seed is for tests alone.
GIVEN = {"first_stage", "seed"}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    name = request.param
    assert name in EXAMPLES, (
        f"no example of jaxdiff/data/{name}.py: give one in EXAMPLES of this file"
    )
    return SOURCES[name](**EXAMPLES[name](tmp_path))


@pytest.mark.parametrize("name", SOURCES)
def test_every_argument_can_be_set_by_a_config(name):
    bare = {*inspect.signature(SOURCES[name]).parameters} - GIVEN
    bare -= {*schema.FIELDS["data"]}
    assert not bare, (
        f"data {name!r} takes {bare}: give each a field in `data` of jaxdiff/schema.py"
    )


def test_a_batch_is_the_examples_of_its_index(source):
    """In that order, one of them twice, and the same at every read."""
    assert len(source) >= 2
    index = np.array([len(source) - 1, 0, len(source) - 1])
    batch = source[index]
    assert {*batch} == {"x", "cond"}
    assert batch["x"].shape == (3, *source.shape) and batch["x"].dtype == np.float32
    assert np.isfinite(batch["x"]).all()
    ones = [source[index[i : i + 1]] for i in range(3)]
    alone = jax.tree.map(lambda *rows: np.concatenate(rows), *ones)
    assert jax.tree.structure(batch) == jax.tree.structure(alone)
    jax.tree.map(np.testing.assert_array_equal, batch, alone)


def test_labels_are_classes_with_a_name(source):
    cond = source[np.arange(len(source))]["cond"]
    assert len(source.class_names) == source.num_classes
    if source.num_classes:
        assert cond.dtype == np.int32 and cond.shape == (len(source),)
        assert 0 <= cond.min() and cond.max() < source.num_classes


def test_model_units_are_decoded_and_encoded(source):
    x = source[np.arange(len(source))]["x"]
    values = source.decode(x)
    if not source.is_image:
        assert [*values] == [*source.layout.names]
        assert {len(column) for column in values.values()} == {len(x)}
        return
    assert values.ndim == 4 and values.dtype == np.float32
    assert 0 <= values.min() and values.max() <= source.peak
    if source.bounds is not None:  # codes have none
        np.testing.assert_allclose(source.encode(values), x, atol=1e-5)


def test_data_of_files_are_recorded_and_others_refused(source, request):
    """A run on them notices when they change."""
    if not source.checksum:
        return
    name = request.node.callspec.params["source"]
    path = request.getfixturevalue("tmp_path")
    fields = EXAMPLES[name](path) | {"checksum": "other"}
    with pytest.raises(ValueError, match="checksum=other"):
        SOURCES[name](**fields)
