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


def open_snapshots(workdir: Path, step: int) -> checkpoint.Manager:
    """Of a run that resumes at `step`: later snapshots are deleted, and taken again."""
    manager = checkpoint.open_manager(workdir / FOLDER, keep_last=None, writes=True)
    for at in manager.all_steps():
        if at > step:
            manager.delete(at)
    return manager


def save(manager: checkpoint.Manager, state: TrainState) -> None:
    """Write the power averages, and wait: a run that resumes from a later checkpoint
    does not take this snapshot again.
    """
    checkpoint.save_tree(manager, int(state.step), [*state.ema[1:]])
    checkpoint.wait(manager)


def restore_average(
    workdir: Path,
    checkpoints: Path,
    shapes: PyTree,
    widths: Sequence[float] = (),
    width: float = 0.0,
) -> tuple[int, PyTree]:
    """Step and averaged parameters of a run's newest whole checkpoint.

    Args:   checkpoints: their folder.  shapes: of the parameters, ShapeDtypeStruct.
            widths: of the power averages that the run keeps beside its own.
            width: of the average; 0 is the run's own.
    Errors: FileNotFoundError if there is no checkpoint; ValueError as `at_width`.
    """
    if not checkpoints.is_dir():
        raise FileNotFoundError(f"{workdir} has no checkpoint yet; train it first")
    like = {
        "step": jax.ShapeDtypeStruct((), np.int32),
        "ema": (shapes,) * (1 + len(widths)) if widths else shapes,
    }
    restored = checkpoint.read_part(checkpoints, like)
    if restored is None:
        raise FileNotFoundError(f"{checkpoints} holds no checkpoint; train it first")
    step, averages = int(restored["step"]), restored["ema"]
    if width:
        return step, at_width(workdir, step, averages, widths, width)
    return step, ema.primary(averages)


def at_width(
    workdir: Path, step: int, averages: PyTree, widths: Sequence[float], width: float
) -> PyTree:
    """The power average of that relative width at `step`, f32.

    From the averages of `widths` in the checkpoint of that step, which follow the
    primary one in `averages`, and from the snapshots before it.
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
    powers = [*averages[1:]]
    taken = {step: powers}
    if (workdir / FOLDER).is_dir():
        with checkpoint.open_manager(workdir / FOLDER, keep_last=None) as manager:
            for at in sorted(manager.all_steps()):
                if at < step:
                    taken[at] = checkpoint.restore_tree(manager, at, powers)
    times = np.repeat([*taken], len(widths))
    gammas = np.tile([ema.gamma_of(w) for w in widths], len(taken))
    weights = ema.reconstruct(times, gammas, float(step), gamma)
    every = [average for group in taken.values() for average in group]
    return jax.tree.map(lambda *leaves: _weighted(weights, leaves), *every)


def _weighted(weights: np.ndarray, leaves: Sequence[Any]) -> np.ndarray:
    total = sum(
        w * np.asarray(a, np.float64) for w, a in zip(weights, leaves, strict=True)
    )
    return np.asarray(total, np.float32)
