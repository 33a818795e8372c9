"""--fix: how it is parsed, what is kept exactly, the summary of the rest."""

import numpy as np
import pytest

from jaxdiff.data import digits, iris, table
from jaxdiff.runs.sample import columns


def parse(*texts):
    return columns.parse(iris.make(), texts)


def test_texts_become_values_and_a_mask():
    got = parse("petal width (cm)= 0.2", "class=virginica")
    assert got.texts == {"petal width (cm)": "0.2", "class": "virginica"}
    assert got.mask.tolist() == [False, False, False, True, True, True, True]
    out = iris.make().decode(got.values)
    assert out["petal width (cm)"].tolist() == [0.2]
    assert out["class"].tolist() == ["virginica"]
    assert got.title == "petal width (cm) = 0.2, class = virginica"


def test_names_and_categories_may_hold_equals_signs():
    rows = {"income": ["<=50K", ">50K", "<=50K"], "a=b": [1, 2, 3], "a": [3, 1, 2]}
    source = table.from_columns(rows)
    assert columns.parse(source, ["income=<=50K"]).texts == {"income": "<=50K"}
    assert columns.parse(source, ["a=b=2", "a=1"]).texts == {"a=b": "2", "a": "1"}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["class"], "'class' is not COLUMN=VALUE"),
        (["clas=setosa"], "--fix: .*no column 'clas'; did you mean 'class'"),
        (["class=rose"], "no category 'rose'; it has: setosa, versicolor"),
        (["petal width (cm)=wide"], "is numeric, got .*'wide'.*; give a finite number"),
        (["petal width (cm)=nan"], "give a finite number"),
        (["class=setosa", "class=virginica"], "gives column 'class' twice"),
    ],
)
def test_mistakes(texts, words):
    with pytest.raises(ValueError, match=words):
        parse(*texts)


def test_something_must_be_free_and_images_have_no_columns():
    source = iris.make(columns=("petal width (cm)", "class"))
    with pytest.raises(ValueError, match="leave at least one free"):
        columns.parse(source, ["class=setosa", "petal width (cm)=1"])
    with pytest.raises(ValueError, match="for tables"):
        columns.parse(digits.make(), ["class=1"])


def test_what_was_given_is_written_to_the_columns_decimals():
    source = iris.make()
    drawn = source.decode(np.zeros((3, 7), np.float32))
    out = columns.restore_given(
        source, parse("petal width (cm)=0.234", "class=setosa"), drawn
    )
    assert out["petal width (cm)"].tolist() == [0.2] * 3
    assert out["class"].tolist() == ["setosa"] * 3
    assert list(out) == list(drawn)
    unrounded = iris.make(rounded=False)
    some = columns.parse(unrounded, ["petal width (cm)=0.123456789012"])
    out = columns.restore_given(unrounded, some, unrounded.decode(some.values))
    assert out["petal width (cm)"].tolist() == [0.123456789012]


def test_real_rows_match_categories_alone():
    assert len(columns.matching_rows(iris.make(), parse("class=setosa"))["class"]) == 50
    assert columns.matching_rows(iris.make(), parse("petal width (cm)=0.2")) is None


def test_interval_by_hand():
    # of 0 ... 100 the quantiles are the numbers themselves
    assert columns.interval(np.arange(101.0)) == (5.0, 95.0)
    values = np.array([4.9, 5.0, 50.0, 95.0, 95.1])
    assert columns.inside(values, 5.0, 95.0).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]
    # 3 tenths and 3 times a tenth are different floats, and the same measurement
    assert columns.inside(np.array([3 * 0.1]), 0.1, 0.3).all()


def test_the_summary_by_hand():
    generated = {
        "width": np.arange(101.0),
        "kind": np.array(["a"] * 76 + ["b"] * 25),
        "class": np.array(["x"] * 101),
    }
    real = {"width": np.array([0.0, 10.0, 20.0, 30.0])}
    some = columns.GivenColumns({"class": "x"}, np.zeros((1, 4)), np.ones(4, bool))
    given, shares, head, row = columns.describe(some, generated, real)
    assert given == "given class = x:"
    assert shares.split() == ["kind:", "a", "75.2%,", "b", "24.8%"]
    assert "of 4 real rows" in head
    assert row.split() == ["width", "50", "5", "50", "95", "75.0%"]
    assert len(columns.describe(some, generated, None)[-1].split()) == 5
