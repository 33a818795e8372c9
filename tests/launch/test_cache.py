"""The compilation cache: the same bits, in less time, whatever happens to its files."""

import json
import os
import time
from pathlib import Path

import jax
import pytest

from launch import cache
from tests.launch.conftest import launch
from tests.slow import slow_but

SCRIPT = str(Path(__file__).with_name("cached.py"))


def run(home, **options):
    """[[bits, programs read, programs made] of each process], and notes."""
    done = launch({"": (SCRIPT, str(home), json.dumps(options))})[""]
    assert done.status == 0 and "Traceback" not in done.err, done.err
    # XLA warns, too, of a compilation that is slow on a busy machine
    notes = [line for line in done.err.splitlines() if line.startswith("note: ")]
    return [json.loads(line) for line in done.out.splitlines()], notes


def entries(home):
    return sorted(home.glob(f"jaxdiff/programs/*/*{cache.ENTRY}"))


def flip(path):
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a disk would


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def cut_and_forget(path):
    """As a process leaves it that is killed while it writes the entry."""
    cut(path)
    path.with_name(path.name.removesuffix(cache.ENTRY) + cache.USED).unlink()


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A home in which the program is, and what the process printed that made it."""
    home = tmp_path_factory.mktemp("home")
    (first,), notes = run(home)
    assert not notes
    return home, first


def test_what_one_process_compiles_the_next_reads(warm):
    home, (bits, read, made) = warm
    assert made >= 2 and not read and len(entries(home)) == made
    assert run(home) == ([[bits, made, 0]], [])


@pytest.mark.parametrize("damage", [flip, cut_and_forget])
def test_damaged_entries_are_compiled_again(warm, damage):
    home, (bits, _, made) = warm
    for path in entries(home)[:2]:
        damage(path)
    results, (note,) = run(home)
    assert results == [[bits, made - 2, 2]]
    assert note.startswith("note: 2 damaged programs") and str(home) in note
    assert run(home) == ([[bits, made, 0]], [])


@pytest.mark.parametrize("sums", slow_but(['{"a": 1}'], ["", "[1]", '{"a": 1}']))
def test_damage_that_no_sum_shows_is_noticed_by_jax(warm, sums):
    home, (bits, _, made) = warm
    for path in entries(home)[:2]:
        cut(path)
        path.with_name(cache.SUMS).write_text(sums)
    ((got, read, _),), (note,) = run(home)
    assert (got, read) == (bits, made - 2)
    assert note.startswith("note: no compilation cache: Error reading")
    run(home)
    assert run(home) == ([[bits, made, 0]], [])


@pytest.mark.parametrize("processes", slow_but([3], [3, 8]))
def test_several_at_once_with_room_for_few_programs(warm, tmp_path, processes):
    """The least recently used are dropped, and nobody is hindered."""
    (_, (bits, _, made)), most = warm, 6000
    results, notes = run(tmp_path, processes=processes, most=most)
    assert not notes and {got for got, _, _ in results} == {bits}
    assert len(results) == processes and sum(made for _, _, made in results) >= made
    assert 0 < sum(path.stat().st_size for path in entries(tmp_path)) <= most


def test_a_full_disk_is_one_line(warm, tmp_path):
    (bits, _, made) = warm[1]
    results, (note,) = run(tmp_path, largest=500)
    assert [got for got, _, _ in results] == [bits]
    assert note.startswith("note: no compilation cache: Error writing")
    run(tmp_path)  # deletes what is incomplete
    assert run(tmp_path) == ([[bits, made, 0]], [])


@pytest.fixture
def on(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXDIFF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_a_folder_that_cannot_be_used_is_one_line(on, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    cache.use()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # by its standard: as if unset
    monkeypatch.setattr(Path, "home", no_home)
    cache.use()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.place().mkdir(parents=True)
    cache.place().chmod(0o777)
    cache.use()
    lines = capsys.readouterr().err.splitlines()
    assert [line[:28] for line in lines] == ["note: no compilation cache: "] * 3
    assert "home" in lines[1] and "others" in lines[2]
    assert not jax.config.jax_compilation_cache_dir


def test_one_variable_turns_it_off_and_those_of_jax_come_first(
    on, monkeypatch, tmp_path
):
    monkeypatch.setenv("JAXDIFF_CACHE", "off")
    with pytest.raises(ValueError, match="must be 0, which is off, or 1, got 'off'"):
        cache.use()
    monkeypatch.setenv("JAXDIFF_CACHE", "0")
    cache.use()
    monkeypatch.delenv("JAXDIFF_CACHE")
    jax.config.update("jax_enable_compilation_cache", False)
    cache.use()
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "users"))
    cache.use()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "users")
    jax.config.update("jax_compilation_cache_dir", None)
    assert not list(tmp_path.iterdir())


def test_folders_are_apart_by_processor_and_jaxlib(on, monkeypatch):
    places = {cache.place()}
    monkeypatch.setattr(cache, "_processor", lambda: "another")
    places.add(cache.place())
    monkeypatch.setattr(cache, "version", lambda name: "0.0")
    places.add(cache.place())
    assert len(places) == 3 and len({p.parent for p in places}) == 1


def test_folders_of_earlier_versions_are_deleted(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, days in ((old, cache.DAYS + 1), (new, cache.DAYS - 1)):
        folder.mkdir()
        (folder / f"a{cache.ENTRY}").touch()
        os.utime(folder, (0, time.time() - days * 24 * 3600))
    cache._drop_unused(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
