"""The protocol: folds that leave every row out once, figures counted by hand."""

import importlib

import numpy as np
import pytest

from jaxdiff.runs.bench import inference as inverse


def test_folds_share_every_class_and_depend_on_the_seed():
    kinds = np.array(["a"] * 10 + ["b"] * 12)
    fold = inverse.folds(kinds, 5, seed=0)
    for kind, counts in (("a", [2, 2, 2, 2, 2]), ("b", [3, 3, 2, 2, 2])):
        assert np.bincount(fold[kinds == kind]).tolist() == counts
    np.testing.assert_array_equal(fold, inverse.folds(kinds, 5, seed=0))
    assert (fold != inverse.folds(kinds, 5, seed=1)).any()
    with pytest.raises(ValueError, match="class 'b' has 2 rows for 5 parts"):
        inverse.folds(np.array(["a"] * 9 + ["b"] * 2), 5, seed=0)


def script(say):
    """Stands for a trained model: says what it was told to, and notes the question."""
    asked = []

    def ask(*question):
        asked.append(question)
        return say

    return ask, asked


KINDS = ["setosa", "versicolor", "virginica"]


@pytest.fixture
def rows():
    """Six flowers, two of each species, of one number."""
    return {"width": np.arange(6.0), "class": np.repeat(KINDS, 2)}


def test_the_most_frequent_class_wins_and_the_class_is_not_told(rows):
    half = inverse.VOTES // 2
    drawn = [KINDS[2]] * (half + 1) + [KINDS[0]] * (half - 1)
    told = [KINDS[1]] * inverse.VOTES
    say = {"class": np.array(drawn * 3 + told * 3)}
    ask, asked = script(say)
    assert inverse.vote(ask, rows, "class", KINDS).tolist() == [2, 2, 2, 1, 1, 1]
    ((given, num, _),) = asked
    assert list(given) == ["width"] and num == inverse.VOTES


def test_coverage_is_counted_in_the_interval_of_ones_own_class(rows):
    n = inverse.DRAWS
    # setosa: about 0 to 1; versicolor: all 3; virginica: far off
    drawn = [np.tile([-0.5, 1.5], n // 2), np.full(n, 3.0), np.full(n, 99.0)]
    ask, asked = script({"width": np.concatenate(drawn)})
    got = inverse.cover(ask, rows, "class", KINDS, ["width"])
    assert got["width"].tolist() == [2, 1, 0]
    ((given, num, _),) = asked
    assert given["class"].tolist() == KINDS and num == n


def test_shares_by_hand():
    found = inverse.Found(
        ["a", "b"],
        np.array([[3, 1], [0, 12]]),
        {"x": np.array([4, 6]), "y": np.array([2, 12])},
    )
    accuracy, x, y, every = inverse.as_rows(found, "kind")
    assert (accuracy["a"], accuracy["b"], accuracy["all"]) == (0.75, 1.0, 15 / 16)
    assert (x["a"], x["b"], x["all"]) == (1.0, 0.5, 10 / 16)
    assert (y["a"], y["b"], y["all"]) == (0.5, 1.0, 14 / 16)
    assert (every["a"], every["b"], every["all"]) == (6 / 8, 18 / 24, 24 / 32)
    assert every["question"] == "all given kind"


def test_every_row_is_asked_of_once_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(inverse, "VOTES", 2)
    monkeypatch.setattr(inverse, "DRAWS", 4)
    monkeypatch.setattr(inverse, "FOLDS", 2)
    drawn = []
    save = inverse.conditionals.save_inverse
    monkeypatch.setattr(
        inverse.conditionals, "save_inverse", lambda *a: (drawn.append(a), save(*a))
    )
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.model.update({"hidden": 8, "num_blocks": 1})
    config.data.columns = ("petal width (cm)", "class")
    config.sampler.update({"known": "replace", "known_steps": 2})
    lines = inverse.bench_inverse(config, tmp_path)
    assert [line["measure"] for line in lines] == ["accuracy", "coverage", "coverage"]
    ((path, kinds, confusion, coverage, nominal, target),) = drawn
    assert path.stat().st_size > 5000 and kinds == KINDS and target == "class"
    assert confusion.sum(axis=1).tolist() == [50, 50, 50]
    assert nominal == pytest.approx(0.9)
    assert list(coverage) == ["petal width (cm)"]


def test_data_of_no_classes_are_refused():
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.data.columns = ("petal width (cm)", "petal length (cm)")
    with pytest.raises(ValueError, match=r"inverse is for tables .* configs/iris\.py"):
        inverse.bench_inverse(config, None)
    config = importlib.import_module("configs.digits").get_config("smoke")
    with pytest.raises(ValueError, match="inverse is for tables"):
        inverse.bench_inverse(config, None)
