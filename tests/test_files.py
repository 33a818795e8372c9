"""Files are whole or not there."""

import pytest

from jaxdiff import files


def test_a_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"a": (1, 2)})
    assert files.read_json(path) == {"a": [1, 2]}
    with files.whole(path) as part:
        part.write_text("[3]")
        assert part.suffix == ".json"  # what decides a picture's format
        assert files.read_json(path) == {"a": [1, 2]}
    assert files.read_json(path) == [3]
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(tmp_path, error):
    path = tmp_path / "a.json"
    files.write_json(path, 1)
    with pytest.raises(type(error)), files.whole(path) as part:
        part.write_text("")
        raise error
    assert files.read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": NaN', b"\xff\xfe", b"[" * 10_000])
def test_what_is_no_json_is_named(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON"):
        files.read_json(path)
