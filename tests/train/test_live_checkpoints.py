"""Checkpoints while they are written: by a run in training, a stopped one, and where
there is no room for them.
"""

import shutil

import pytest
from absl import logging

from jaxdiff.files import NoRoom
from jaxdiff.train import checkpoint
from tests.train.test_checkpoint import restored, same, state_at, write


@pytest.mark.parametrize("when", ["open_manager", "restore_part"])
def test_while_a_run_trains_the_newest_is_read(tmp_path, monkeypatch, when):
    """After a look at the folder, and before what was seen is read, step 2 goes."""
    write(tmp_path, [1, 2])
    seen, warned, function = [], [], getattr(checkpoint, when)
    monkeypatch.setattr(logging, "warning", lambda *text: warned.append(text))

    def changing(first, *args, **how):
        seen.append(1)
        if len(seen) == 1:
            write(tmp_path / "new", [3], keep_last=1)
            if when == "restore_part":  # a multiple that is kept is not the newest
                assert first.all_steps() == [1, 2]
            shutil.move(tmp_path / "new" / "3", tmp_path)
            shutil.rmtree(tmp_path / "2" / checkpoint.ITEM)  # others as they go
        return function(first, *args, **how)

    monkeypatch.setattr(checkpoint, when, changing)
    part = checkpoint.read_part(tmp_path, {"ema": state_at(0).ema})
    same(part["ema"], state_at(3).ema)
    assert not warned


def test_a_folder_that_looks_like_a_step_is_no_change(tmp_path, monkeypatch):
    write(tmp_path, [1, 2])
    shutil.rmtree(tmp_path / "2" / checkpoint.ITEM)
    (tmp_path / "007").mkdir()
    warned = []
    monkeypatch.setattr(logging, "warning", lambda *text: warned.append(text))
    part = checkpoint.read_part(tmp_path, {"ema": state_at(0).ema})
    same(part["ema"], state_at(1).ema)
    assert "step 2 cannot be used" in str(warned)


def test_what_changes_each_time_is_an_error(tmp_path, monkeypatch):
    write(tmp_path, [1])
    steps = iter(range(2, 99))

    def restore(manager, like):
        (tmp_path / str(next(steps))).mkdir()
        raise checkpoint.Changed

    monkeypatch.setattr(checkpoint, "restore_part", restore)
    monkeypatch.setattr(checkpoint, "PAUSE", 0)
    with pytest.raises(ValueError, match="replaced before they are read; keep more"):
        checkpoint.read_part(tmp_path, {})


def test_what_a_stop_cut_short_is_deleted_by_who_writes(tmp_path):
    write(tmp_path, [1])
    part = tmp_path / "2.orbax-checkpoint-tmp"
    part.mkdir()
    with checkpoint.open_manager(tmp_path, keep_last=1):
        pass
    assert part.exists()  # it may be written at this moment
    with checkpoint.open_manager(tmp_path, keep_last=1, writes=True) as manager:
        checkpoint.save(manager, state_at(2))
    assert not part.exists()
    same(restored(tmp_path), state_at(2))


@pytest.mark.parametrize("after", ["save", "check_written", "close"])
def test_without_room_one_line_names_the_folder(tmp_path, monkeypatch, after):
    write(tmp_path, [1])
    manager = checkpoint.open_manager(tmp_path, keep_last=10)
    text = "RESOURCE_EXHAUSTED: Error ... No space left on device [os_error_code='28']"

    def full(*_, **how):
        raise ValueError(text)

    name = {"check_written": "check_for_errors"}.get(after, after)
    with monkeypatch.context() as patch:
        patch.setattr(type(manager), name, full)
        with pytest.raises(NoRoom) as error:
            if after == "save":
                checkpoint.save(manager, state_at(2))
            else:
                getattr(checkpoint, after)(manager)
    assert str(error.value).startswith(
        f"{tmp_path} cannot be written: No space left on device; make room"
    )
    checkpoint.close(manager)
    same(restored(tmp_path), state_at(1))


def test_a_bug_while_writing_is_no_mistake_of_the_user(tmp_path, monkeypatch):
    manager = checkpoint.open_manager(tmp_path, keep_last=1)

    def broken(*_, **how):
        raise ValueError("operands could not be broadcast together")

    with monkeypatch.context() as patch:
        patch.setattr(type(manager), "save", broken)
        with pytest.raises(ValueError, match="operands could not"):
            checkpoint.save(manager, state_at(1))
    checkpoint.close(manager)
