"""The protocol: folds that leave every row out once, figures counted by hand."""

import importlib

import numpy as np
import pytest

from jaxdiff.runs.bench import inference


def test_folds_share_every_class_and_depend_on_the_seed():
    classes = np.array(["a"] * 10 + ["b"] * 12)
    fold = inference.folds(classes, 5, seed=0)
    for name, counts in (("a", [2, 2, 2, 2, 2]), ("b", [3, 3, 2, 2, 2])):
        assert np.bincount(fold[classes == name]).tolist() == counts
    np.testing.assert_array_equal(fold, inference.folds(classes, 5, seed=0))
    assert (fold != inference.folds(classes, 5, seed=1)).any()
    with pytest.raises(ValueError, match="class 'b' has 2 rows for 5 parts"):
        inference.folds(np.array(["a"] * 9 + ["b"] * 2), 5, seed=0)


def scripted(table):
    """Stands for a trained model: infers that table, and notes what it was given."""
    calls = []

    def infer(*args):
        calls.append(args)
        return table

    return infer, calls


CLASSES = ["setosa", "versicolor", "virginica"]


@pytest.fixture
def rows():
    """Six flowers, two of each species, of one number."""
    return {"width": np.arange(6.0), "class": np.repeat(CLASSES, 2)}


def test_the_most_frequent_class_wins_and_the_class_is_not_given(rows):
    half = inference.VOTES // 2
    drawn = [CLASSES[2]] * (half + 1) + [CLASSES[0]] * (half - 1)
    sure = [CLASSES[1]] * inference.VOTES
    infer, calls = scripted({"class": np.array(drawn * 3 + sure * 3)})
    assert inference.vote(infer, rows, "class", CLASSES).tolist() == [2, 2, 2, 1, 1, 1]
    ((given, num, _),) = calls
    assert list(given) == ["width"] and num == inference.VOTES


def test_coverage_is_counted_in_the_interval_of_the_row_s_class(rows):
    n = inference.DRAWS
    # setosa: about 0 to 1; versicolor: all 3; virginica: far off
    drawn = [np.tile([-0.5, 1.5], n // 2), np.full(n, 3.0), np.full(n, 99.0)]
    infer, calls = scripted({"width": np.concatenate(drawn)})
    within = inference.cover(infer, rows, "class", CLASSES, ["width"])
    assert within["width"].tolist() == [2, 1, 0]
    ((given, num, _),) = calls
    assert given["class"].tolist() == CLASSES and num == n


def test_shares_by_hand():
    counts = inference.Counts(
        ["a", "b"],
        np.array([[3, 1], [0, 12]]),
        {"x": np.array([4, 6]), "y": np.array([2, 12])},
    )
    accuracy, x, y, every = inference.as_rows(counts, "kind")
    assert (accuracy["a"], accuracy["b"], accuracy["all"]) == (0.75, 1.0, 15 / 16)
    assert (x["a"], x["b"], x["all"]) == (1.0, 0.5, 10 / 16)
    assert (y["a"], y["b"], y["all"]) == (0.5, 1.0, 14 / 16)
    assert (every["a"], every["b"], every["all"]) == (6 / 8, 18 / 24, 24 / 32)
    assert every["question"] == "all given kind"


def test_every_row_is_inferred_once_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "VOTES", 2)
    monkeypatch.setattr(inference, "DRAWS", 4)
    monkeypatch.setattr(inference, "FOLDS", 2)
    drawn = []
    save = inference.conditionals.save_inference
    monkeypatch.setattr(
        inference.conditionals, "save_inference", lambda *a: (drawn.append(a), save(*a))
    )
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.model.update({"hidden": 8, "num_blocks": 1})
    config.data.columns = ("petal width (cm)", "class")
    config.sampler.update({"known": "replace", "known_steps": 2})
    lines = inference.bench_inference(config, tmp_path)
    assert [line["measure"] for line in lines] == ["accuracy", "coverage", "coverage"]
    ((path, classes, confusion, coverage, nominal, target),) = drawn
    assert path.stat().st_size > 5000 and classes == CLASSES and target == "class"
    assert confusion.sum(axis=1).tolist() == [50, 50, 50]
    assert nominal == pytest.approx(0.9)
    assert list(coverage) == ["petal width (cm)"]


def test_data_of_no_classes_are_refused():
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.data.columns = ("petal width (cm)", "petal length (cm)")
    with pytest.raises(
        ValueError, match=r"inference is for tables .* configs/iris\.py"
    ):
        inference.bench_inference(config, None)
    config = importlib.import_module("configs.digits").get_config("smoke")
    with pytest.raises(ValueError, match="inference is for tables"):
        inference.bench_inference(config, None)
