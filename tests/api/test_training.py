"""Training from Python, on whatever form the data have."""

import numpy as np
import pytest
from PIL import Image

import jaxdiff
from jaxdiff import schema
from jaxdiff.api import training
from jaxdiff.data import arrays
from jaxdiff.data.source import Source
from tests.runs.conftest import assert_same, read_state, tiny_config

TINY = {
    "model.name": "mlp",
    "model.hidden": 8,
    "model.num_blocks": 1,
    "train.batch_size": 8,
    "train.num_steps": 4,
    "train.log_every": 2,
    "train.checkpoint_every": 4,
    "train.num_preview": 4,
    "sampler.num_steps": 3,
}
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 4, 5, 1), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 2, 0, 1])
TEXTS = np.array(["cat", "ape", "bee", "cat", "ape", "bee"])
ROWS = RNG.normal(size=(6, 2))
TABLE = {"a": ROWS[:, 0].round(2), "kind": TEXTS}


class Frame:
    """As much of a DataFrame as is used: columns by name, and no Mapping."""

    columns = (*TABLE,)

    def items(self):
        return TABLE.items()

    def __iter__(self):
        return iter(self.columns)

    def __getitem__(self, name):
        return TABLE[name]


class Examples:
    """An object with a length and examples by number."""

    def __init__(self, example, size=6):
        self.example, self.size = example, size

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        if not 0 <= i < self.size:
            raise IndexError(i)
        return self.example(i)


def pillow(i):
    return Image.fromarray(PIXELS[i, ..., 0])


# Form -> data, and whether they are images and have labels.
FORMS = {
    "images": (PIXELS, True, False),
    "grey images": (PIXELS[..., 0], True, False),
    "list of images": ([*PIXELS], True, False),
    "images, labels": ((PIXELS, LABELS), True, True),
    "images, texts": ((PIXELS, TEXTS), True, True),
    "by name": ({"image": PIXELS, "label": LABELS[:, None]}, True, True),
    "rows": (ROWS, False, False),
    "rows, labels": ((ROWS, TEXTS), False, True),
    "columns": (TABLE, False, False),
    "frame": (Frame(), False, False),
    "examples": (Examples(lambda i: PIXELS[i]), True, False),
    "pairs": (Examples(lambda i: (PIXELS[i], TEXTS[i])), True, True),
    "Pillow": (Examples(lambda i: (pillow(i), int(LABELS[i]))), True, True),
    "mappings": (
        Examples(lambda i: {"image": pillow(i), "label": LABELS[i]}),
        *(True, True),
    ),
    "records": (
        Examples(lambda i: {k: v[i] for k, v in TABLE.items()}),
        *(False, False),
    ),
    "points": (Examples(lambda i: ROWS[i]), False, False),
}


@pytest.mark.parametrize("form", FORMS)
def test_data_become_a_source_of_the_same_values(form):
    source = arrays.as_source(FORMS[form][0])
    _, is_image, labelled = FORMS[form]
    assert isinstance(source, Source) and len(source) == 6
    assert source.is_image == is_image and (source.num_classes > 0) == labelled
    batch = source[np.arange(6)]
    values = source.decode(batch["x"])
    if is_image:
        np.testing.assert_allclose(values, PIXELS, atol=1e-4)
    elif source.layout.names == ("a", "kind"):
        np.testing.assert_array_equal(values["a"], TABLE["a"])
        assert values["kind"].tolist() == TEXTS.tolist()
    else:
        np.testing.assert_allclose(np.stack([*values.values()], 1), ROWS, rtol=1e-5)
    if labelled:
        names = [source.class_names[k] for k in batch["cond"]]
        assert names in (TEXTS.tolist(), [str(k) for k in LABELS])
    else:
        assert batch["cond"] is None
    assert source.fingerprint is not None
    other = arrays.as_source(FORMS[form][0]).fingerprint
    assert source.fingerprint() == other()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "data must be uint8 images .*got int"),
        (PIXELS / 255.0, r"got float64 of shape .6, 4, 5, 1.; bring .* 0...255"),
        (PIXELS[:0], r"got uint8 of shape .0, 4"),
        (PIXELS[..., :0], r"got uint8 of shape .6, 4, 5, 0"),
        ((PIXELS, LABELS[:3]), r"6 integers or texts, one an example, got int64 .3,."),
        ((PIXELS, ROWS), "6 integers or texts"),
        ({"a": PIXELS, "b": PIXELS}, "one array of images or rows and at most"),
        ({"a": PIXELS, "b": LABELS, "c": LABELS}, "leave the others out"),
        ({"a": ROWS.astype(int)}, "column 'a' must hold a value a row"),
        ([], "data must be .*got list"),
        ([PIXELS[0], PIXELS[0, :2]], "one shape: example 1 is .2, 5, 1."),
        ((PIXELS, np.array([None, *"abcde"])), "labels must be 6 integers or texts"),
        ([(PIXELS[0], 1), PIXELS[1]], r"example 1 must be .image, label."),
        ([{"a": 1.0, "b": 2.0}, {"a": 1.0}], "example 1 must have a, b, .* got a"),
    ],
)
def test_other_data_are_refused(data, words):
    with pytest.raises(ValueError, match=words):
        arrays.as_source(data)


def test_labels_must_be_of_the_named_classes():
    with pytest.raises(
        ValueError, match=r"from 0 to 1, of the classes a, b; got \[2\]"
    ):
        arrays.of_arrays_and_labels(PIXELS, LABELS, ["a", "b"])


def test_a_fit_is_a_run_like_any_other(tmp_path):
    """With the numbers of the same run by the same config; it resumes and is loaded."""
    from jaxdiff.runs.train import loop, setup

    model = jaxdiff.fit(TINY, data=TABLE, workdir=tmp_path / "a")
    assert model.columns == ("a", "kind") and model.run.step == 4
    config = training._config(TINY)
    run = setup.prepare(config, tmp_path / "b", arrays.as_source(TABLE))
    state = loop.run(run)
    assert_same(read_state(tmp_path / "a", run), state)
    longer = {**TINY, "train.num_steps": 6}
    resumed = jaxdiff.fit(longer, data=TABLE, workdir=tmp_path / "a")
    assert (model.run.step, resumed.run.step) == (4, 6)
    loaded = jaxdiff.load(tmp_path / "a")
    for name, values in loaded.sample(5).values.items():
        np.testing.assert_array_equal(values, resumed.sample(5)[name])
    assert not loaded.run.is_image  # config.data is not the data's


def test_a_whole_config_is_taken_as_it_is(tmp_path):
    config = tiny_config(num_steps=2)
    assert training._config(config) is config
    nested = {"model": {"name": "mlp", "hidden": 16}, "seed": 3}
    made = training._config(nested)
    assert (made.model.name, made.model.hidden, made.seed) == ("mlp", 16, 3)
    assert made.is_locked


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model.nam": "mlp"}, "no field 'model.nam' in a config; .* model.name"),
        ({**TINY, "train.num_steps": "many"}, "num_steps"),
        ({**TINY, "model.channels": 3}, "model.channels=3: model 'mlp' does not take"),
        ({**TINY, "model.name": "unet", "model.hidden": 64}, "needs images"),
        ({**TINY, "train.num_steps": 0}, "train.num_steps must be at least 1"),
    ],
)
def test_mistakes_write_nothing(config, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        jaxdiff.fit(config, data=TABLE, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def whole(**data):
    config = schema.get_config()
    config.data.update({"name": "synthetic", "shape": (2,), "low": 0.0, **data})
    return config


@pytest.mark.parametrize(
    "config",
    [
        {**TINY, "data.labels": (1,), "data.low": 0.0},
        *(whole(labels=(1,)), whole(standardise=True, labels=(2,))),
    ],
)
def test_fields_of_data_beside_the_data_are_refused(config, tmp_path):
    with pytest.raises(ValueError, match=r"data\.labels.* change nothing in examples"):
        jaxdiff.fit(config, data=TABLE, workdir=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_data_set_that_a_whole_config_names_is_not_read():
    training._check_data_fields(whole(flip=True, holdout=".1", num_examples=7))


def test_a_config_is_no_path():
    with pytest.raises(ValueError, match=r"config must be .*got 'configs/digits.py'"):
        training._config("configs/digits.py")
