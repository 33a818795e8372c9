"""Inference by cross-validation: every row is left out once, and data are checked."""

import importlib

import numpy as np
import pytest

from jaxdiff.metrics import inference as metrics
from jaxdiff.runs.bench import inference

CLASSES = ["setosa", "versicolor", "virginica"]


def test_every_row_is_inferred_once_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "VOTES", 2)
    monkeypatch.setattr(metrics, "DRAWS", 4)
    monkeypatch.setattr(inference, "FOLDS", 3)
    parts, drawn = [], []
    prepare, save = inference.setup.prepare, inference.conditionals.save_inference
    monkeypatch.setattr(
        inference.setup, "prepare", lambda *a: (parts.append(a[2]), prepare(*a))[1]
    )
    monkeypatch.setattr(
        inference.conditionals, "save_inference", lambda *a: (drawn.append(a), save(*a))
    )
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.model.update({"hidden": 8, "num_blocks": 1})
    config.data.columns = ("petal width (cm)", "class")
    config.sampler.update({"known": "replace", "known_steps": 2})
    lines = inference.bench_inference(config, tmp_path)
    # of each class 17, 17 and 16 rows are left out in turn
    assert [len(part) for part in parts] == [99, 99, 102]
    assert [line["measure"] for line in lines] == ["accuracy", "coverage", "coverage"]
    ((path, classes, confusion, coverage, nominal, target),) = drawn
    assert path.stat().st_size > 5000 and classes == CLASSES and target == "class"
    assert confusion.sum(axis=1).tolist() == [50, 50, 50]
    assert nominal == pytest.approx(0.9)
    assert list(coverage) == ["petal width (cm)"]


def test_questions_are_answered_by_other_numbers_in_any_order(tmp_path):
    """A seed apart for each question; each row is inferred from its own columns."""
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.model.update({"hidden": 8, "num_blocks": 1})
    run = inference.setup.prepare(config, None)
    infer = inference.make_infer(run, run.init().params)
    given = {"class": np.array(CLASSES)}
    one, two, again = (infer(given, 2, question) for question in (1, 2, 1))
    assert one["class"].tolist() == np.repeat(CLASSES, 2).tolist()
    name = "petal width (cm)"
    np.testing.assert_array_equal(one[name], again[name])
    assert (one[name] != two[name]).any()


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
