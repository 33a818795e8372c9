"""Given columns: how they are parsed, what is kept exactly, which rows have them."""

import numpy as np
import pytest

from jaxdiff.data import digits, given, iris, table


def parse(*texts):
    return given.parse(iris.make(), texts)


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
    assert given.parse(source, ["income=<=50K"]).texts == {"income": "<=50K"}
    assert given.parse(source, ["a=b=2", "a=1"]).texts == {"a=b": "2", "a": "1"}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["class"], "'class' is not COLUMN=VALUE"),
        (["clas=setosa"], "no column 'clas'; did you mean 'class'"),
        (["class=rose"], "no category 'rose'; it has: setosa, versicolor"),
        (["petal width (cm)=wide"], "is numeric, got .*'wide'.*; give a finite number"),
        (["petal width (cm)=nan"], "give a finite number"),
        (["petal width (cm)=1e300"], "1e300 is .* standard deviations from the data's"),
        (["class=setosa", "class=virginica"], "column 'class' is given twice"),
    ],
)
def test_mistakes(texts, words):
    with pytest.raises(ValueError, match=words):
        parse(*texts)


def test_something_must_be_free_and_images_have_no_columns():
    source = iris.make(columns=("petal width (cm)", "class"))
    with pytest.raises(ValueError, match="leave at least one free"):
        given.parse(source, ["class=setosa", "petal width (cm)=1"])
    with pytest.raises(ValueError, match="only tables have columns"):
        given.parse(digits.make(), ["class=1"])


def test_what_was_given_is_written_to_the_columns_decimals():
    source = iris.make()
    drawn = source.decode(np.zeros((3, 7), np.float32))
    out = given.restore(source, parse("petal width (cm)=0.234", "class=setosa"), drawn)
    assert out["petal width (cm)"].tolist() == [0.2] * 3
    assert out["class"].tolist() == ["setosa"] * 3
    assert list(out) == list(drawn)
    unrounded = iris.make(rounded=False)
    some = given.parse(unrounded, ["petal width (cm)=0.123456789012"])
    out = given.restore(unrounded, some, unrounded.decode(some.values))
    assert out["petal width (cm)"].tolist() == [0.123456789012]


def test_real_rows_match_categories_alone():
    assert len(given.matching_rows(iris.make(), parse("class=setosa"))["class"]) == 50
    assert given.matching_rows(iris.make(), parse("petal width (cm)=0.2")) is None
