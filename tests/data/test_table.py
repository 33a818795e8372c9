"""Tables: reading, refusing, and there and back."""

from pathlib import Path

import numpy as np
import pytest

from jaxdiff.data import iris, layout, reading, synthetic, table
from jaxdiff.data.source import take

CSV = "height,kind,weight\n1.5,cat,2\n2.5,dog,4\n3.5,cat,9\n"


@pytest.fixture
def csv_file(tmp_path):
    def write(text: str, encoding: str = "utf-8") -> str:
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


def test_columns_of_a_csv(csv_file):
    source = table.make(csv_file(CSV))
    x = source[np.arange(3)]["x"]
    assert (len(source), source.shape, source.num_classes) == (3, (4,), 0)
    assert not source.is_image
    # By hand: height has mean 2.5 and population std sqrt(2/3); kind is one-hot over
    # (cat, dog) with means 2/3, 1/3 and std sqrt(2)/3.
    root = (3 / 2) ** 0.5
    assert x[:, 0] == pytest.approx([-root, 0, root], abs=1e-6)
    assert x[:, 1] == pytest.approx([0.5**0.5, -(2**0.5), 0.5**0.5], abs=1e-6)
    assert x[:, 2] == pytest.approx([-(0.5**0.5), 2**0.5, -(0.5**0.5)], abs=1e-6)


def test_standardised_and_decoded(csv_file):
    source = table.make(csv_file(CSV))
    out = source.decode(source[np.arange(3)]["x"])
    assert list(out) == ["height", "kind", "weight"]
    assert out["height"] == pytest.approx([1.5, 2.5, 3.5])
    assert out["kind"].tolist() == ["cat", "dog", "cat"]
    assert out["weight"] == pytest.approx([2, 4, 9])


def test_numbers_come_out_with_the_decimals_of_the_data(csv_file):
    text = "count,length,free,kind\n1,-0.5,0.1234567,a\n20,1.25,2,b\n3,0,1,a\n"
    source = table.make(csv_file(text))
    assert [c.decimals for c in source.layout.columns] == [0, 2, None, None]
    x = source[np.arange(3)]["x"] + 1e-4
    out = source.decode(x)
    assert out["count"].tolist() == [1, 20, 3]
    assert out["length"].tolist() == [-0.5, 1.25, 0]
    assert (out["free"] > [0.1234567, 2, 1]).all()
    exact = table.make(csv_file(text), rounded=False).decode(x)
    assert (exact["count"] > [1, 20, 3]).all()


def test_nothing_is_rounded_to_minus_zero(csv_file):
    source = table.make(csv_file("a\n1\n-1\n"))
    assert str(source.decode(np.float32([[-0.1]]))["a"][0]) == "0.0"


def test_selecting_columns_keeps_the_order_given(csv_file):
    source = table.make(csv_file(CSV), columns=("weight", "height"))
    assert source.layout.names == ("weight", "height")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_spreadsheet_habits_are_read(csv_file, newline):
    text = '\ufeffa,"b, c"\n 1 ,"x, y"\n2,z\n\n\n'.replace("\n", newline)
    source = table.make(csv_file(text))
    out = source.decode(source[np.arange(2)]["x"])
    assert out["a"] == pytest.approx([1, 2])
    assert out["b, c"].tolist() == ["x, y", "z"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3,\n", r"line 3, column 'b'.*missing"),
        ("a,b\n1,2\nNA,4\n", r"line 3, column 'a'.*'NA'"),
        ("a,b\nnan,2\n3,4\n", r"line 2, column 'a'.*'nan'"),
        ("a,b\n1,?\n3,4\n", r"line 2, column 'b'.*'\?'"),
        ("a,b\n1,2\n3\n", r"line 3 has 1 cells, the header 2"),
        ("a,b\n1,2\n\n3,4\n", r"line 3 is empty"),
        ("a,b\n1,2,5\n3,4\n", r"line 2 has 3 cells"),
        ("a,a\n1,2\n3,4\n", r"2 column\(s\) named 'a'"),
        ("a,\n1,2\n3,4\n", r"named ''"),
        ("1,2\n3,4\n", "header"),
        ("a,b\n1,7\n2,7\n", "column 'b' is 7 in every row.*std is 0"),
        ("a,b\n1,u\n2,u\n", "column 'b' is u in every row"),
        ("a,b\n0.1,1\n0.1,2\n0.1,3\n", "column 'a' is 0.1 in every row"),
        (
            "id,b\n9007199254740992,1\n9007199254740993,2\n",
            "line 3, column 'id': '9007199254740993' is a whole number beyond 2.53, "
            r"which .*config\.data\.categorical=\"\('id',\)\"; .* in data\.columns",
        ),
        ('a,b\n1,"2\n3,4\n', "line 2, column 'b': .*a line break"),
        ("a,b\n1e300,1\n1e308,2\n", "column 'a' has numbers from"),
        ("a\n" + "".join(f"{i}\n" for i in range(300)) + "1.5x\n", "line 302.*'1.5x'"),
    ],
)
def test_bad_files_are_refused(csv_file, text, words):
    path = csv_file(text)
    with pytest.raises(ValueError, match=words) as error:
        table.make(path)
    assert "\n" not in str(error.value)
    assert path in str(error.value)


def test_other_encodings_are_refused(csv_file):
    with pytest.raises(ValueError, match="UTF-8"):
        table.make(csv_file("a,b\né,1\nx,2\n", "latin-1"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        table.make(str(tmp_path / "none.csv"))


def test_unknown_columns_are_named(csv_file):
    with pytest.raises(ValueError, match=r"no 'hight'; did you mean 'height'"):
        table.make(csv_file(CSV), columns=("hight",))
    with pytest.raises(ValueError, match="different"):
        table.make(csv_file(CSV), columns=("height", "height"))


class Frame:
    """As much of a DataFrame as from_columns needs; it is no Mapping."""

    def __init__(self, columns):
        self.items = columns.items


@pytest.mark.parametrize("kind", [dict, Frame])
def test_from_columns(kind):
    data = {"n": np.array([1, 2, 3]), "flag": np.array([True, False, True])}
    source = table.from_columns(kind(data | {"s": ["u", "v", "w"]}))
    assert source.shape == (1 + 2 + 3,)
    assert source.layout["flag"].categories == ("False", "True")
    with pytest.raises(ValueError, match="one length"):
        table.from_columns(kind(data | {"s": ["u", "v"]}))


@pytest.mark.parametrize("gap", [None, float("nan"), np.nan, "NA"])
def test_from_columns_names_the_missing_row(gap):
    with pytest.raises(ValueError, match="row 1, column 'a'"):
        table.from_columns({"a": [1.0, gap, 2.0]})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [2**60 + 1, 1],
            "row 0, column 'a': '1152921504606846977' is a whole n",
        ),
        ([7, 7], "column 'a' is 7 in every row.*; leave the column out$"),
        ([f"k{i}" for i in range(300)], "has 300 categories .*leave the column out$"),
        (["S", "38"], "remove the row. If the column holds categories, write them as"),
        ([10**400, 1], "row 0, column 'a'.* is not a number"),
    ],
)
def test_cures_outside_a_config_name_no_field(values, words):
    with pytest.raises(ValueError, match=words) as error:
        table.from_columns({"a": values})
    assert "columns" not in str(error.value) and "--config" not in str(error.value)


def test_whole_numbers_that_a_float_holds_are_numbers():
    values = [2**53, 10**20, "100000000000000000000", -(2**62)]
    assert table.from_columns({"a": values}).layout["a"].categories == ()


def test_samples_written_are_read_back_the_same(tmp_path):
    rng = np.random.default_rng(0)
    columns = {"a b": rng.normal(size=20), "k": rng.choice(["x, y", 'q"'], 20)}
    reading.write(tmp_path / "out.csv", columns)
    data, separator = reading.read(str(tmp_path / "out.csv"))
    assert [float(v) for v in data["a b"]] == columns["a b"].tolist()
    assert data["k"] == columns["k"].tolist()
    assert separator == ","


def test_iris_is_the_articles_seven_columns():
    source = iris.make()
    x = source[np.arange(150)]["x"]
    assert (len(source), source.shape) == (150, (7,))
    assert x.mean(axis=0) == pytest.approx(np.zeros(7), abs=1e-5)
    assert x.std(axis=0) == pytest.approx(np.ones(7), abs=1e-5)
    # Thirds of the flowers are of each species: (1 - 1/3) / sqrt(2)/3 and its opposite.
    assert np.unique(np.round(x[:, 4:], 4)) == pytest.approx(
        [-(0.5**0.5), 2**0.5], 1e-3
    )
    out = source.decode(x)
    assert list(out)[2:] == ["petal length (cm)", "petal width (cm)", "class"]
    names, counts = np.unique(out["class"], return_counts=True)
    assert names.tolist() == ["setosa", "versicolor", "virginica"]
    assert counts.tolist() == [50, 50, 50]
    # The first flower of Fisher's table.
    assert [float(out[k][0]) for k in list(out)[:4]] == pytest.approx(
        [5.1, 3.5, 1.4, 0.2]
    )


def test_encode_rows_undoes_decode():
    source = iris.make()
    x = source[np.arange(150)]["x"]
    again, known = layout.encode_rows(source.layout, source.decode(x))
    assert known.all()
    assert again == pytest.approx(x, abs=1e-5)


def test_encode_rows_of_some_columns():
    source = iris.make()
    given = {"class": "virginica", "petal width (cm)": ["1.5", "2.5"]}
    x, known = layout.encode_rows(source.layout, given)
    assert known.tolist() == [False, False, False, True, True, True, True]
    assert (x[:, :3] == 0).all()
    out = source.decode(x)
    assert out["class"].tolist() == ["virginica"] * 2
    assert out["petal width (cm)"] == pytest.approx([1.5, 2.5])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"clas": "setosa"}, "no column 'clas'; did you mean 'class'"),
        ({"class": "rose"}, "no category 'rose'; it has: setosa"),
        ({"petal width (cm)": "wide"}, "numeric, got .*'wide'"),
        ({"class": ["setosa"] * 2, "petal width (cm)": [1, 2, 3]}, "2 values"),
    ],
)
def test_encode_rows_refuses(given, words):
    with pytest.raises(ValueError, match=words):
        layout.encode_rows(iris.make().layout, given)


def test_a_synthetic_table():
    source = synthetic.make((3,), num_classes=2, num_examples=40)
    batch = source[np.arange(40)]
    assert not source.is_image
    assert batch["x"].mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)
    assert batch["x"].std(axis=0) == pytest.approx(np.ones(3), abs=1e-5)
    assert set(batch["cond"]) == {0, 1}
    assert synthetic.make((3,), num_classes=0)[np.arange(2)]["cond"] is None


def test_rows_taken_are_standardised_by_themselves():
    rows = {"a": [1.0, 2.0, 4.0, 100.5], "k": ["x", "y", "x", "z"]}
    source = table.from_columns(rows)
    with pytest.raises(ValueError, match="'k' 'z' is the same in all 3 rows"):
        table.take(source, np.array([2, 1, 0]))
    some = table.take(
        table.from_columns({**rows, "k": ["x", "y", "x", "y"]}), np.array([2, 1])
    )
    # of 4 and 2: mean 3, deviation 1; and as many decimals as the whole column has
    x = some[np.arange(2)]["x"]
    assert x[:, 0] == pytest.approx([1.0, -1.0], abs=1e-6)
    assert len(some) == 2 and some.layout.columns[0].decimals == 1
    out = some.decode(x)
    assert out["a"].tolist() == [4.0, 2.0] and out["k"].tolist() == ["x", "y"]


def test_examples_taken_keep_their_units():
    source = iris.make()
    some = take(source, np.array([149, 3]))
    assert len(some) == 2
    np.testing.assert_array_equal(
        some[np.array([1, 0])]["x"], source[np.array([3, 149])]["x"]
    )
    for bad in ([], [150], [-1]):
        with pytest.raises(ValueError, match="numbers from 0 to 149"):
            take(source, np.array(bad, int))


def test_the_checksum_is_of_the_content_and_not_of_the_place(csv_file, tmp_path):
    path = csv_file("a,b\n1.0,x\n2.0,y\n")
    source = table.make(path)
    moved = tmp_path / "moved.csv"
    moved.write_bytes(Path(path).read_bytes())
    assert table.make(str(moved), checksum=source.checksum).checksum == source.checksum
    moved.write_text("a,b\n1.0,x\n2.5,y\n")
    with pytest.raises(ValueError, match=r"data\.checksum=\w+, but .*moved\.csv has"):
        table.make(str(moved), checksum=source.checksum)


@pytest.mark.parametrize(
    ("values", "cure"),
    [
        ([1e300, -1e300, 1e308], "divide"),
        ([1e-320, 2e-320, 3e-320], "multiply"),
        ([0.0, 0.0, 1e-299], "multiply"),
    ],
)
def test_moments_out_of_range_name_their_column(values, cure):
    words = f"column 'a' has numbers from .* out of range; {cure} it by a power of ten"
    with pytest.raises(ValueError, match=words):
        table.from_columns({"b": [1.0, 2.0, 4.0], "a": values})
