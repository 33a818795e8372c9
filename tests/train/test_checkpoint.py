"""Checkpoints: which are kept, and what happens to one that is damaged."""

import gc
import json
import shutil
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl import logging

from jaxdiff.train import checkpoint, checksums, parallel
from jaxdiff.train.state import TrainState, init_state


def state_at(step: int) -> TrainState:
    tx = optax.adam(0.1)
    state = init_state({"w": jnp.full((3,), 1.0 * step), "b": jnp.ones(2) / 3}, tx)
    return state.replace(step=jnp.asarray(step, jnp.int32))


def write(folder, steps, **options):
    options = {"keep_last": 10, **options}
    with checkpoint.open_manager(folder, **options) as manager:
        for step in steps:
            checkpoint.save(manager, state_at(step))


def damage(folder, step, how):
    """Cut short the largest file of a checkpoint, or delete its arrays."""
    files = [p for p in (folder / str(step)).rglob("*") if p.is_file()]
    assert files
    if how == "emptied":
        for file in files:
            file.write_bytes(b"")
        return
    if how == "deleted":
        for file in files:
            if "/d/" in file.as_posix():
                file.unlink()
        return
    largest = max(files, key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        chex.assert_trees_all_equal(x, y)


def test_what_is_saved_comes_back_to_the_bit(tmp_path):
    write(tmp_path, [3])
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        same(checkpoint.restore(manager, state_at(0)), state_at(3))


def test_shapes_alone_are_read_to_one_device_of_this_machine(tmp_path):
    """What several devices wrote, one can sample from: orbax needs none of them."""
    spread = parallel.replicate(state_at(3), jax.devices())
    assert len(spread.step.sharding.device_set) == 4
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        checkpoint.save(manager, spread)
    like = jax.eval_shape(lambda: state_at(0))
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        restored = checkpoint.restore(manager, like)
    same(restored, state_at(3))
    for leaf in jax.tree.leaves(restored):
        assert leaf.sharding.device_set == {jax.local_devices()[0]}


def test_nothing_to_restore(tmp_path):
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        assert checkpoint.restore(manager, state_at(0)) is None


@pytest.mark.parametrize(
    ("keep_last", "keep_every", "kept"),
    [(2, 0, [5, 6]), (1, 0, [6]), (2, 2, [2, 4, 5, 6]), (1, 3, [3, 6])],
)
def test_the_last_and_the_multiples_are_kept(tmp_path, keep_last, keep_every, kept):
    write(tmp_path, range(1, 7), keep_last=keep_last, keep_every=keep_every)
    folders = sorted(int(p.name) for p in tmp_path.iterdir() if p.name.isdigit())
    assert folders == kept


def test_a_step_by_number(tmp_path):
    write(tmp_path, [1, 2, 3])
    with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
        same(checkpoint.restore(manager, state_at(0), step=2), state_at(2))
        with pytest.raises(ValueError, match=r"no checkpoint of step 7.*\[1, 2, 3\]"):
            checkpoint.restore(manager, state_at(0), step=7)


@pytest.mark.parametrize("how", ["truncated", "emptied", "deleted"])
def test_one_cut_short_falls_back_with_a_warning(tmp_path, monkeypatch, how):
    write(tmp_path, [1, 2, 3])
    damage(tmp_path, 3, how)
    warned = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: warned.append(text % a))
    with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
        same(checkpoint.restore(manager, state_at(0)), state_at(2))
        assert any("step 3 cannot be used" in line for line in warned)
        checkpoint.drop_after(manager, 2)
        assert (tmp_path / "3.damaged").is_dir()
        checkpoint.save(manager, state_at(3))  # its step is free again
    with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
        same(checkpoint.restore(manager, state_at(0)), state_at(3))


def test_all_damaged_is_an_error_not_a_fresh_start(tmp_path):
    write(tmp_path, [1, 2])
    damage(tmp_path, 1, "emptied")
    damage(tmp_path, 2, "truncated")
    with (
        checkpoint.open_manager(tmp_path, keep_last=10) as manager,
        pytest.raises(ValueError, match=r"none of the checkpoints \[2, 1\]"),
    ):
        checkpoint.restore(manager, state_at(0))


def test_saving_copies_before_it_returns(tmp_path):
    """The state's buffers may be donated to the next step while orbax still writes."""
    state = state_at(5)
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        checkpoint.save(manager, state)
        jax.tree.map(lambda a: a.delete(), state)
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        same(checkpoint.restore(manager, state_at(0)), state_at(5))


def restored(folder):
    with checkpoint.open_manager(folder, keep_last=10) as manager:
        return checkpoint.restore(manager, state_at(0))


@pytest.fixture
def warned(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: lines.append(text % a))
    return lines


@pytest.mark.parametrize("rounds", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_a_flipped_bit_gives_no_other_values(tmp_path, warned, monkeypatch, rounds):
    """Over all files: it is harmless, or the checkpoint before is used and named."""
    # orbax leaves coroutines behind that failed
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)
    trees = {
        step: {"w": jax.random.normal(jax.random.key(step), (2000,))} for step in (1, 2)
    }
    with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
        for step, tree in trees.items():
            checkpoint.save_tree(manager, step, tree)
    files = sorted(p for p in (tmp_path / "2").rglob("*") if p.stat().st_size)
    files = [p for p in files if p.is_file()]
    gen, fallen = np.random.default_rng(0), 0
    for k in range(rounds):
        file = files[k % len(files)]
        whole = file.read_bytes()
        data = bytearray(whole)
        data[gen.integers(len(data))] ^= 1 << int(gen.integers(8))
        file.write_bytes(data)
        warned.clear()
        with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
            tree = checkpoint.restore_part(manager, trees[1])
        fell = sum("step 2 cannot be used" in line for line in warned)
        assert fell in (0, 1)
        fallen += fell
        same(tree, trees[1 if fell else 2])
        file.write_bytes(whole)
    gc.collect()
    assert fallen > rounds / 6


def test_other_values_are_noticed_where_orbax_notices_nothing(tmp_path, warned):
    """A checkpoint whose arrays are whole, and not those that were saved."""
    write(tmp_path, [1, 2])
    state = state_at(3).replace(step=jnp.asarray(2, jnp.int32))
    with checkpoint.open_manager(tmp_path / "other", keep_last=1) as manager:
        checkpoint.save(manager, state)
    arrays = tmp_path / "2" / checkpoint.ITEM
    about = (arrays / "_METADATA").read_bytes()  # the checksums among it
    shutil.rmtree(arrays)
    shutil.copytree(tmp_path / "other" / "2" / checkpoint.ITEM, arrays)
    (arrays / "_METADATA").write_bytes(about)
    same(restored(tmp_path), state_at(1))
    assert "holds other values than were saved" in warned[-1]


def test_one_of_an_older_version_has_no_checksums(tmp_path, capsys):
    write(tmp_path, [1])
    path = tmp_path / "1" / checkpoint.ITEM / "_METADATA"
    about = json.loads(path.read_text())
    assert about["custom_metadata"].pop(checksums.KEY)
    path.write_text(json.dumps(about))
    for _ in range(2):
        same(restored(tmp_path), state_at(1))
    assert capsys.readouterr().err.count("without checksums: not verified") == 1


@pytest.mark.parametrize("content", ["", "notes.txt"])
def test_a_foreign_folder_hides_no_checkpoint(tmp_path, warned, content):
    write(tmp_path, [1, 2])
    (tmp_path / "50").mkdir()
    if content:
        (tmp_path / "50" / content).write_text("mine")
    same(restored(tmp_path), state_at(2))
    with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
        part = checkpoint.restore_part(manager, {"ema": state_at(0).ema})
    same(part["ema"], state_at(2).ema)


def test_another_shape_is_called_that(tmp_path):
    write(tmp_path, [1])
    tx = optax.adam(0.1)
    like = init_state({"w": jnp.zeros(4), "b": jnp.ones(2)}, tx)
    with checkpoint.open_manager(tmp_path, keep_last=1) as manager:
        text = r"params/w is of shape \(3,\) there, and .* this config has \(4,\)"
        with pytest.raises(ValueError, match=text):
            checkpoint.restore(manager, like)
        with pytest.raises(ValueError, match="ema/c is missing there"):
            checkpoint.restore_part(manager, {"ema": {"c": jnp.zeros(4)}})


def test_what_is_set_aside_keeps_what_was(tmp_path):
    write(tmp_path, [1, 2])
    for k in ("2.damaged", "2.damaged2", "2.damaged3"):
        with checkpoint.open_manager(tmp_path, keep_last=10) as manager:
            checkpoint.drop_after(manager, 1)
            assert (tmp_path / k / checkpoint.ITEM).is_dir()
            checkpoint.save(manager, state_at(2))
