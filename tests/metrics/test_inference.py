"""Figures of inference counted by hand, of a model that gives what a table holds."""

import numpy as np
import pytest

from jaxdiff.metrics import inference

CLASSES = ["setosa", "versicolor", "virginica"]


def scripted(*tables):
    """Stands for a trained model: infers these tables in turn, and notes its calls."""
    calls = []

    def infer(*args):
        calls.append(args)
        return tables[len(calls) - 1]

    return infer, calls


@pytest.fixture
def rows():
    """Six flowers, two of each species, of one number."""
    return {"width": np.arange(6.0), "class": np.repeat(CLASSES, 2)}


def votes():
    """Of the first three rows virginica by a vote, of the others versicolor."""
    half = inference.VOTES // 2
    drawn = [CLASSES[2]] * (half + 1) + [CLASSES[0]] * (half - 1)
    sure = [CLASSES[1]] * inference.VOTES
    return {"class": np.array(drawn * 3 + sure * 3)}


def widths():
    """Of setosa about 0 to 1; of versicolor all 3; of virginica far off."""
    n = inference.DRAWS
    drawn = [np.tile([-0.5, 1.5], n // 2), np.full(n, 3.0), np.full(n, 99.0)]
    return {"width": np.concatenate(drawn)}


def test_the_most_frequent_class_wins_and_the_class_is_not_given(rows):
    infer, calls = scripted(votes())
    assert inference.vote(infer, rows, "class", CLASSES).tolist() == [2, 2, 2, 1, 1, 1]
    ((given, num, _),) = calls
    assert list(given) == ["width"] and num == inference.VOTES


def test_coverage_is_counted_in_the_interval_of_the_row_s_class(rows):
    infer, calls = scripted(widths())
    within = inference.cover(infer, rows, "class", CLASSES, ["width"])
    assert within["width"].tolist() == [2, 1, 0]
    ((given, num, _),) = calls
    assert given["class"].tolist() == CLASSES and num == inference.DRAWS


def test_counts_of_both_questions_add_up(rows):
    infer, calls = scripted(votes(), widths())
    one = inference.count(infer, rows, "class", CLASSES, ["width"])
    assert [question for _, _, question in calls] == [1, 2]
    # true by inferred: setosa, setosa, versicolor as virginica, the rest as versicolor
    assert one.confusion.tolist() == [[0, 0, 2], [0, 1, 1], [0, 2, 0]]
    both = inference.add(one, one)
    assert both.confusion.tolist() == [[0, 0, 4], [0, 2, 2], [0, 4, 0]]
    assert both.within["width"].tolist() == [4, 2, 0] and both.classes == CLASSES
    assert both.sizes.tolist() == [4, 4, 4]
    assert both.coverage["width"].tolist() == [1.0, 0.5, 0.0]


def test_interval_by_hand():
    # of 0 ... 100 the quantiles are the numbers themselves
    assert inference.interval(np.arange(101.0)) == (5.0, 95.0)
    values = np.array([4.9, 5.0, 50.0, 95.0, 95.1])
    assert inference.inside(values, 5.0, 95.0).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]
    # 3 tenths and 3 times a tenth are different floats, and the same measurement
    assert inference.inside(np.array([3 * 0.1]), 0.1, 0.3).all()


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
    none = inference.Counts(["a", "b"], np.array([[3, 0], [0, 0]]), {"x": np.ones(2)})
    assert inference.as_rows(none, "kind")[0]["b"] is None
