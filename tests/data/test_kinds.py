"""What makes a column numbers or categories, and how a table's file is split."""

import re

import numpy as np
import pytest

from jaxdiff.data import kinds, layout, reading, table

# Forms that people and programs write where a number is missing or meant.
ODD = (
    *(
        "None",
        "none",
        "-",
        "--",
        ".",
        "nil",
        "unknown",
        "missing",
        "#VALUE!",
        "#DIV/0!",
    ),
    *(
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "1,234",
        "1 234",
        "1_234",
        "1.234,5",
        "1.2.3",
    ),
    *("12.3x", "5kg", "5%", "$5", "€5", "(5)", "1/2", "12:30", "2024-01-01", "TRUE"),
    *("1e", "0x1F", "--5", "=1+1", "５", "−5", "٣", "007"),  # noqa: RUF001
)
MISSING = ("", "NA", "n/a", "#N/A", "<NA>", "nan", "NaN", "null", "NULL", "?")


def write(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def with_cell(tmp_path, cell):
    """Twenty numbers; the cell stands in line 9."""
    cells = [str(1.5 * i) for i in range(20)]
    cells[7] = f'"{cell}"'
    rows = "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    return write(tmp_path, f"i,v\n{rows}")


@pytest.mark.parametrize("cell", [*ODD, *MISSING])
def test_one_odd_cell_in_a_column_of_numbers_is_named(tmp_path, cell):
    path = with_cell(tmp_path, cell)
    with pytest.raises(ValueError) as error:
        table.make(path)
    start = f"{path}: line 9, column 'v': {cell!r} "
    assert str(error.value).startswith(start)
    assert "remove the row" in str(error.value)
    missing = cell in MISSING
    assert ("categorical" in str(error.value)) != missing


@pytest.mark.parametrize(
    "number", ["5", "-5", "+5", "5.", ".5", "1e3", "-1.5E-3", "00.5"]
)
def test_what_is_a_number(tmp_path, number):
    column = table.make(with_cell(tmp_path, number)).layout["v"]
    assert column.categories == ()


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (("a", "b", "None"), ("None", "a", "b")),
        (("01234", "98765", "00501"), ("00501", "01234", "98765")),
        (("18-25", "26-35", "18-25"), ("18-25", "26-35")),
        (("A1", "0123", "B2"), ("0123", "A1", "B2")),
    ],
)
def test_what_are_categories(cells, categories):
    assert table.from_columns({"k": cells}).layout["k"].categories == categories


# currency signs and a degree; then characters that no reader sees
SIGNS = ("€", "₹", "¢", "₿", "°", "‰", *"\u200e\u200b\u00ad\u2060\ufeff")


@pytest.mark.parametrize(
    "cells",
    [
        *[("1,5", "2,5"), ("5 %", "7 %"), ("$3", "€4")],
        *[(f"1{sign}", f"{sign}2.5") for sign in SIGNS],
    ],
)
def test_a_column_of_numbers_for_people_is_refused(cells):
    with pytest.raises(
        ValueError, match=r"row 0, column 'v'.*point before decimals"
    ) as error:
        table.from_columns({"v": cells})
    assert str(error.value).isprintable()


def test_the_rarer_kind_is_named():
    with pytest.raises(ValueError, match=r"row 2, column 'v': '38' is a number, and 2"):
        table.from_columns({"v": ["S", "M", "38"]})


def test_columns_named_as_categorical_are_not_looked_into(tmp_path):
    path = write(tmp_path, "size,n\nS,1\n38,2\nNA,3\n")
    source = table.make(path, categorical=("size", "n"))
    assert source.layout["size"].categories == ("38", "NA", "S")
    assert source.layout["n"].categories == ("1", "2", "3")
    with pytest.raises(ValueError, match=r"categorical: .*no 'sise'; did you mean"):
        table.make(path, categorical=("sise",))


def test_a_note_for_each_column(tmp_path):
    text = "a;b;c;zip;kind\n1;0.25;1.2345678;01;p\n20;3;2;10;q\n3;1;3;02;p\n"
    path = write(tmp_path, text)
    assert table.make(path).notes == (
        f"{path}: 3 rows, cells separated by a semicolon",
        "a: whole numbers from 1 to 20",
        "b: numbers from 0.25 to 3 with 2 decimals",
        "c: numbers, not rounded, from 1.23457 to 3",
        "zip: 3 text codes: 01 (1), 02 (1), 10 (1)",
        "kind: 2 categories: p (2), q (1)",
    )


@pytest.mark.parametrize("separator", reading.SEPARATORS)
def test_cells_may_be_separated_by(tmp_path, separator):
    text = 'a,"b, b",c\n1,"x, y",3\n2,z,4\n'
    quoted = re.sub(r",(?! )", "\0", text).replace("\0", separator)
    cells = reading.read(write(tmp_path, quoted))
    assert cells.separator == separator
    assert cells.columns == {"a": ["1", "2"], "b, b": ["x, y", "z"], "c": ["3", "4"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b;c\n1,2;3\n", "by a comma or by a semicolon, both fit"),
        ("a;b\n1;2\n3\n", "line 3 has 1 cells, the header 2; .* hold a semicolon"),
        (
            "5.1,3.5,x\n4.9,3.0,y\n",
            r"line 1, holds numbers .*a line of names.*as in x5",
        ),
        (
            "5.1,3.5,1.4,1.4\n4.9,3.0,1.4,0.2\n",
            r"line 1, holds numbers .*a line of names.*as in x5",
        ),
        ("2019,2020\n1,2\n", r"put a letter before each, as in x2019"),
        ("0\n1\n2\n", "holds numbers"),
        ("a,b\n1,\x1b[31mred\n", r"line 2, column 'b': '\\x1b\[31mred' holds"),
        ("a,\x1b[31mb\n1,2\n", r"line 1, column '\\x1b\[31mb'"),
        ("a,b\n1,\u202ex\n", "control character"),
    ],
)
def test_a_file_that_is_read_in_two_ways_is_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match=words) as error:
        table.make(write(tmp_path, text))
    assert str(error.value).isprintable()


def test_a_header_of_numbers_counted_from_0(tmp_path):
    path = write(tmp_path, "0,1,label\n5.1,3.5,x\n4.9,3.0,y\n")
    assert table.make(path).layout.names == ("0", "1", "label")


def test_formulas_are_written_as_text_and_read_back(tmp_path):
    texts = ["=1+1", "+x", "-y", "@z", "-5", "plain"]
    columns = {"=name": np.array(texts), "n": np.arange(-3.0, 3.0)}
    path = tmp_path / "out.csv"
    reading.write(path, columns)
    lines = path.read_text(encoding="utf-8").splitlines()
    # OWASP's rule for cells of text; numbers stay numbers
    assert [line.partition(",")[0] for line in lines] == [
        *("'=name", "'=1+1", "'+x", "'-y", "'@z", "-5", "plain"),
    ]
    assert reading.read(str(path)).columns["=name"] == texts


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("zip,v\n01,1\n10,2\n", "'zip' was read as numbers"),
        ("i,v\n1,2\n2,None\n3,4\n", "'v' was read as text"),
        ("a;b\n1;2\n2;3\n", "'a;b' was one column"),
    ],
)
def test_an_older_run_is_not_read_otherwise(tmp_path, text, column):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=f"column {column} when this run was trained"):
        table.make(path, rules=1)
    same = write(tmp_path, "a,k\n1.5,x\n2,y\n", "same.csv")
    older, newer = (table.make(same, rules=rules) for rules in (1, 2))
    assert older.layout.columns == newer.layout.columns


def test_messages_show_values_as_python_writes_them():
    source = table.from_columns({"a": [1.0, 2.0], "k": ["x", "y"]})
    given = {"a": np.array(["wide"]), "k": "x"}
    with pytest.raises(ValueError, match="numeric, got 'wide'"):
        layout.encode_rows(source.layout, given)
    assert kinds.is_missing(float("nan")) and not kinds.is_missing("none")
