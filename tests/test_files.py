"""Files are whole or not there."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import files
from jaxdiff.lock import locked


def test_a_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"a": (1, 2)})
    assert files.read_json(path) == {"a": [1, 2]}
    with files.whole(path) as part:
        part.write_text('{"a": 3}')
        assert part.suffix == ".json"  # what decides a picture's format
        assert files.read_json(path) == {"a": [1, 2]}
    assert files.read_json(path) == {"a": 3}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(tmp_path, error):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(type(error)), files.whole(path) as part:
        part.write_text("")
        raise error
    assert files.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b'{"a": NaN', b"\xff\xfe", b"[" * 10_000),
        *(b"[]", b"null", b"3", b'"a"', b'{"a": ' + b"1" * 5000 + b"}"),
    ],
)
def test_what_is_no_json_is_named(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        files.read_json(path)


def test_a_name_that_is_there_twice_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"data": {"low": 0.0, "path": "a", "low": -1.0}}')
    with pytest.raises(ValueError, match=r"config\.json .*'low' is there more than on"):
        files.read_json(path)


def test_every_bit_of_an_archive_that_cannot_be_read_names_the_file(tmp_path):
    path = tmp_path / "samples.npz"
    np.savez_compressed(path, values=np.arange(3), labels=np.arange(3))
    whole, refused = path.read_bytes(), 0
    for at in range(0, len(whole), 3):
        path.write_bytes(
            whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        )
        try:
            arrays = files.read_arrays(path, "values")
        except ValueError as error:
            assert "samples.npz" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(arrays["values"], np.arange(3))
    assert refused > 20
    for size in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"samples\.npz cannot be read"):
            files.read_arrays(path)


def test_arrays_of_any_name_come_out_under_it(tmp_path):
    names = ("file", "args", "kwds", "seed", "seeds", "_seed", "größe", "a/b", "$x")
    arrays = {name: np.array([float(i)]) for i, name in enumerate(names)}
    joined = files.beside(arrays, {"seed": np.int64(7), "seeds": np.arange(3)})
    files.write_arrays(tmp_path / "samples.npz", joined)
    with np.load(tmp_path / "samples.npz") as file:
        stored = dict(file)
    assert stored["__seed"] == 7 and stored["_seeds"].tolist() == [0, 1, 2]
    assert {name: stored[name].tolist() for name in names} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert len(stored) == len(names) + 2


def test_numbers_are_json_that_any_reader_takes(tmp_path):
    path = tmp_path / "numbers.json"
    odd = {"a": np.array([[1.0, np.inf]], np.float32), "b": (np.int64(2), np.nan)}
    files.write_numbers(path, odd | {"c": {5: jnp.float32(0.5), "d": "text"}})
    assert "Infinity" not in path.read_text() and "NaN" not in path.read_text()
    expected = {"a": [[1.0, None]], "b": [2, None], "c": {"5": 0.5, "d": "text"}}
    assert json.loads(path.read_text()) == expected


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    for there in (False, True):
        out = tmp_path / f"out{there}"
        if there:
            out.mkdir()
        with pytest.raises(KeyboardInterrupt), files.whole_folder(out) as part:
            (part / "a").write_text("a")
            raise KeyboardInterrupt
        assert files_in(tmp_path) == ([out.name] if there else [])
        with files.whole_folder(out) as part:
            (part / "b").write_text("b")
            assert not there or not any(out.iterdir())
        assert files_in(out) == ["b"]
        shutil.rmtree(out)


def test_an_unfinished_folder_is_no_hindrance_to_a_writer_beside_it(tmp_path):
    """As a kill leaves it: who locks the folder around it deletes parts of files."""
    with files.whole_folder(tmp_path / "out") as part:
        (part / "a").write_text("a")
        with locked(tmp_path):
            (tmp_path / "mine").write_text("b")
        assert (part / "a").exists()
    assert files_in(tmp_path) == ["mine", "out"]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())
