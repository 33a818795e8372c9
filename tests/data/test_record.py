"""A source made from its record decodes bit for bit; a damaged record is named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxdiff.data import compare, images, record, synthetic, table
from tests.data.test_sources import EXAMPLES, SOURCES


def make(name, path):
    fields = EXAMPLES[name](path)
    if name == "latents":
        stage = fields["first_stage"]
        stage = stage._replace(images=record.of(stage.source))
        fields = {"first_stage": stage}
    return SOURCES[name](**fields), fields.get("first_stage")


def equal(a, b):
    if isinstance(a, dict):
        return {*a} == {*b} and all(np.array_equal(a[k], b[k]) for k in a)
    return a.dtype == b.dtype and np.array_equal(a, b)


def through_file(source, folder, stage=None):
    record.save(folder, record.of(source))
    return record.restore(record.load(folder), stage)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("name", SOURCES)
def test_a_source_without_rows_decodes_bit_for_bit(name, standardise, tmp_path):
    source, stage = make(name, tmp_path)
    if standardise and source.is_image:
        source = images.standardise(source)
    made = through_file(source, tmp_path, stage)
    x = np.random.default_rng(0).normal(size=(5, *source.shape)).astype(np.float32)
    assert equal(made.decode(x), source.decode(x))
    for field in ("shape", "num_classes", "class_names", "peak", "moments", "checksum"):
        assert getattr(made, field) == getattr(source, field), field
    assert np.array_equal(made.level_width, source.level_width)
    assert (made.bounds is None) == (source.bounds is None)
    if made.bounds:
        assert all(map(np.array_equal, made.bounds, source.bounds))
        values = np.abs(x)
        assert equal(made.encode(values), source.encode(values))
    like, expected = made.example_cond, source.example_cond
    assert (like is None) == (expected is None)
    assert like is None or (like.dtype, like.shape) == (expected.dtype, (1,))
    assert len(made) == 0
    with pytest.raises(ValueError, match="no rows"):
        _ = made[np.arange(1)]


def test_moments_of_a_table_are_stored_bit_for_bit(tmp_path):
    values = np.random.default_rng(0).normal(1e6, 1 / 3, size=50)
    source = table.from_columns({"a": values, "b": [*"xyxyz"] * 10})
    made = through_file(source, tmp_path)
    assert made.layout.columns == source.layout.columns
    assert np.array_equal(made.layout.mean, source.layout.mean)
    assert np.array_equal(made.layout.std, source.layout.std)


def test_what_cannot_be_stored_is_not_made_up(tmp_path):
    source = synthetic.make(num_examples=4)
    other = replace(source, decode=lambda x: x)
    assert through_file(other, tmp_path) is None

    def vectors(index):
        return {**source.load(index), "cond": np.zeros((len(index), 2))}

    other = replace(source, load=vectors, num_classes=0, class_names=())
    assert record.restore(record.of(other), None) is None


def test_classes_without_names_are_refused_before_a_run_stores_them():
    source = replace(synthetic.make(num_examples=4), class_names=())
    with pytest.raises(ValueError, match="a name for each class, got"):
        record.of(source)


def test_a_condition_that_is_new_or_missing_does_not_fit():
    source = synthetic.make(num_classes=0, num_examples=4)
    vectors = {"cond": np.zeros((1, 2), np.float32)}
    other = replace(source, example=vectors)
    with pytest.raises(ValueError, match="a condition, had none"):
        compare.fit(record.of(source), other)
    with pytest.raises(ValueError, match="no condition, had one"):
        compare.fit(record.of(other), source)
    assert compare.fit(record.of(other), other) is other


def test_fingerprints_see_values_and_order_and_not_the_order_of_columns():
    def digest(**columns):
        return table.from_columns(columns).fingerprint()

    a, b = [1.0, 2.0, 3.0], ["x", "y", "x"]
    assert digest(a=a, b=b) == digest(b=b, a=a)
    others = [digest(a=[1.0, 3.0, 2.0], b=b), digest(a=[1.0, 2.0, 3.5], b=b)]
    others += [digest(a=a, b=["x", "y", "y"]), digest(c=a, b=b)]
    assert digest(a=a, b=b) not in others
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    first = images.from_array(pixels, None, (), low=0.0).fingerprint()
    labels = np.array([0, 1, 0])
    turned = images.from_array(pixels[::-1], None, (), low=0.0).fingerprint()
    labelled = images.from_array(pixels, labels, "ab", low=0.0).fingerprint()
    scaled = images.from_array(pixels, None, (), low=-1.0).fingerprint()
    assert first == scaled and len({first, turned, labelled}) == 3


def damages():
    """(A name for the test, what is done to the JSON of a table's record)."""
    for name in ("size", "shape", "decode", "moments", "given", "class_names"):
        yield f"without {name}", lambda raw, n=name: raw.pop(n)
        for value in (-1, "x", [[]], {"columns": 3}):
            yield f"{name}={value}", lambda raw, n=name, v=value: raw.update({n: v})
    wrong = {"mean": [float("nan")] * 3, "std": [0.0, 1.0, 1.0], "columns": [["a"]]}
    for name, value in wrong.items():
        yield f"wrong {name}", lambda raw, n=name, v=value: raw["decode"].update({n: v})


DAMAGES = dict(damages())


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_record_is_one_line_that_names_it(name, tmp_path):
    source = table.from_columns({"a": [1.0, 2.0, 4.0], "b": [*"xyx"]})
    record.save(tmp_path, record.of(source))
    path = tmp_path / record.FILE
    raw = json.loads(path.read_text())
    DAMAGES[name](raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(ValueError, match=r"data\.json is damaged .*delete it"):
        record.load(tmp_path)


def test_a_record_that_is_no_object_is_named(tmp_path):
    for text in ("[]", "3", '"x"', "null"):
        (tmp_path / record.FILE).write_text(text)
        with pytest.raises(ValueError, match=r"data\.json is not valid JSON of a run"):
            record.load(tmp_path)
    assert record.load(tmp_path / "none") is None
