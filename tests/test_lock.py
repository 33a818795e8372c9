"""One writer a folder: who is refused, and what a crash leaves."""

import errno
import os
import signal
import time

import jax
import pytest

from jaxdiff import lock
from jaxdiff.files import whole
from jaxdiff.lock import is_empty, locked
from jaxdiff.runs import workdir as files


def refused(folder):
    with (
        pytest.raises(ValueError, match="wait until it has ended") as error,
        locked(folder),
    ):
        raise AssertionError("two writers")
    return str(error.value)


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path):
    with locked(tmp_path / "out"):
        text = refused(tmp_path / "out")
        assert f"process {os.getpid()} on {os.uname().nodename} since 2" in text
        (tmp_path / "out" / lock.OWNER).write_text("")  # not written yet
        assert "written by another process" in refused(tmp_path / "out")
        with locked(tmp_path / "other"):
            pass
    assert not (tmp_path / "out").exists()  # nothing was written
    with locked(tmp_path / "out"):
        (tmp_path / "out" / "a").write_text("a")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a"]
    (tmp_path / "out" / "a").unlink()
    (tmp_path / "out" / lock.LOCK).touch()  # as after a crash
    assert is_empty(tmp_path / "out")
    files.check_out(tmp_path / "out", force=False)


def test_what_a_kill_left_unfinished_is_deleted(tmp_path):
    writers = [whole(tmp_path / "a.png"), whole(tmp_path / "samples" / "a.png")]
    for writer in writers:
        writer.__enter__().touch()
    assert len([*tmp_path.rglob("*.png")]) == 2  # under other names
    (tmp_path / "mine.part").touch()
    with locked(tmp_path):
        assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {
            *("mine.part", lock.LOCK, lock.OWNER)
        }


def test_what_another_process_writes_in_a_folder_inside_is_kept(tmp_path):
    with locked(tmp_path / "out"), whole(tmp_path / "out" / "a.npz") as part:
        part.touch()
        with locked(tmp_path):
            assert part.exists()


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_crash_releases_the_lock(tmp_path):
    pid = os.fork()
    if not pid:
        with locked(tmp_path):
            time.sleep(600)
    try:
        while not (tmp_path / lock.OWNER).exists():
            time.sleep(0.01)
        assert f"process {pid} on" in refused(tmp_path)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with locked(tmp_path):
        pass


def test_where_there_are_no_locks_one_line_reports_it(tmp_path, monkeypatch, capsys):
    def acquire(self):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.FileLock, "acquire", acquire)
    entered = []
    with locked(tmp_path):
        entered.append(1)
    assert entered and capsys.readouterr().err.count("cannot be locked here") == 1


def test_of_several_processes_the_first_locks(tmp_path, monkeypatch):
    with locked(tmp_path):
        monkeypatch.setattr(jax, "process_index", lambda: 1)
        with locked(tmp_path):
            pass
