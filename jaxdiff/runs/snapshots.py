"""Snapshots of the power averages of a run, and an average of any width from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdiff.arrays import PyTree, require
from jaxdiff.train import checkpoint, ema
from jaxdiff.train.state import TrainState

FOLDER = "snapshots"


def open_album(workdir: Path, step: int) -> checkpoint.Manager:
    """The snapshots of a run that goes on from `step`: later ones are taken again."""
    album = checkpoint.open_manager(workdir / FOLDER, keep_last=None)
    for at in album.all_steps():
        if at > step:
            album.delete(at)
    return album


def save(album: checkpoint.Manager, state: TrainState) -> None:
    """Write the averages beside the run's own, and wait: who goes on from the next
    checkpoint does not take this snapshot again.
    """
    checkpoint.save_tree(album, int(state.step), [*state.ema[1:]])
    album.wait_until_finished()


def at_width(
    workdir: Path, state: TrainState, widths: Sequence[float], width: float
) -> PyTree:
    """The power average of that relative width at the state's step, f32.

    From the state's own averages, of `widths`, and the snapshots before it.
    Errors: ValueError for a run that keeps none, and for a width out of range.
    """
    require(
        len(widths) > 0,
        f"sampler.ema={width} needs snapshots, and {workdir} keeps none: train with "
        "train.ema_widths=(0.05, 0.1) and train.snapshot_every",
    )
    try:
        gamma = ema.gamma_of(width)
    except ValueError as error:
        raise ValueError(f"sampler.ema: {error}") from None
    now, averages = int(state.step), [*state.ema[1:]]
    taken = {now: averages}
    if (workdir / FOLDER).is_dir():
        with checkpoint.open_manager(workdir / FOLDER, keep_last=None) as album:
            for at in sorted(album.all_steps()):
                if at < now:
                    taken[at] = checkpoint.restore_tree(album, at, averages)
    times = np.repeat([*taken], len(widths))
    gammas = np.tile([ema.gamma_of(w) for w in widths], len(taken))
    weights = ema.reconstruct(times, gammas, float(now), gamma)
    every = [average for some in taken.values() for average in some]
    return jax.tree.map(lambda *leaves: _weighted(weights, leaves), *every)


def _weighted(weights: np.ndarray, leaves: Sequence[Any]) -> np.ndarray:
    total = sum(
        w * np.asarray(a, np.float64) for w, a in zip(weights, leaves, strict=True)
    )
    return np.asarray(total, np.float32)
