"""Averages of any width after training, from the snapshots of a real run."""

import shutil

import jax
import numpy as np
import pytest

from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import open_run
from jaxdiff.runs.train import loop, setup
from jaxdiff.train import checkpoint, ema, snapshots
from tests.runs.conftest import assert_same, at, tiny_config

KEPT = {
    "num_steps": 64,
    "checkpoint_every": 32,
    "ema": "power(width=0.075)",  # what is to be reconstructed, kept exactly
    "ema_widths": (0.05, 0.1),
    "snapshot_every": 8,
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "run"
    run = setup.prepare(tiny_config(**KEPT), folder)
    return folder, run, loop.run(run)


def average_of(kept, width):
    folder, run, _ = kept
    config = run.experiment.config.copy_and_resolve_references()
    config.sampler.ema = width
    return open_run(folder, config).params


def apart(a, b):
    """|a - b| over all numbers."""
    both = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return np.sqrt(sum(np.square(np.asarray(x) - y).sum() for x, y in both))


def test_widths_that_were_kept_come_back(kept):
    _, _, state = kept
    for i, width in enumerate(KEPT["ema_widths"]):
        average = average_of(kept, width)
        true = state.ema[1 + i]
        assert apart(average, true) < 1e-5 * apart(
            true, jax.tree.map(np.zeros_like, true)
        )


def test_a_width_between_is_the_average_that_was_run(kept):
    _, _, state = kept
    average, true = average_of(kept, 0.075), ema.primary(state.ema)
    zero = jax.tree.map(np.zeros_like, true)
    assert apart(average, true) < 0.013 * apart(true, zero)
    # and none of those that it is made of
    others = [apart(kept, true) for kept in state.ema[1:]]
    assert apart(average, true) < 0.3 * min(others)


def test_a_resumed_run_takes_the_same_snapshots(kept, tmp_path):
    folder, run, state = kept
    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / workdir.CHECKPOINTS / "64")
    for step in (48, 64):  # as if it had been killed while it took them
        shutil.rmtree(tmp_path / "run" / snapshots.FOLDER / str(step))
    again = loop.run(at(run, tmp_path / "run"))
    assert_same(again.ema, state.ema)
    folders = [f / snapshots.FOLDER for f in (folder, tmp_path / "run")]
    with (
        checkpoint.open_manager(folders[0], keep_last=None) as a,
        checkpoint.open_manager(folders[1], keep_last=None) as b,
    ):
        assert sorted(a.all_steps()) == sorted(b.all_steps()) == [*range(8, 65, 8)]
        for step in (40, 48, 64):
            like = [*state.ema[1:]]
            one, other = (checkpoint.restore_tree(m, step, like) for m in (a, b))
            assert_same(one, other)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ema_widths": (0.05, 0.1)}, "belong together"),
        ({"snapshot_every": 4}, "belong together"),
        ({"ema_widths": (0.05, 0.4), "snapshot_every": 4}, "width must be in"),
    ],
)
def test_mistakes_in_training(tmp_path, fields, message):
    with pytest.raises(ValueError, match=message):
        setup.prepare(tiny_config(**fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_mistakes_in_reading(kept):
    folder, _, _ = kept
    with pytest.raises(ValueError, match=r"sampler\.ema: width must be in"):
        average_of(kept, 0.4)
    with pytest.raises(ValueError, match="keeps none: train with"):
        snapshots.at_width(folder, 64, kept[2].ema, (), 0.1)
