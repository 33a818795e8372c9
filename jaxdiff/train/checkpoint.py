"""Orbax checkpoints of the training state: asynchronous, keep-last and keep-every."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from jaxdiff.arrays import PyTree
from jaxdiff.train.state import TrainState

Manager = ocp.CheckpointManager


def open_manager(
    directory: Path, *, keep_last: int | None, keep_every: int = 0
) -> Manager:
    """Checkpoints under `directory`, one folder a step.

    keep_last: newest ones kept, None: all.  keep_every: multiples kept for good.
    """
    return ocp.CheckpointManager(
        epath.Path(directory.resolve()),
        options=ocp.CheckpointManagerOptions(
            max_to_keep=keep_last, keep_period=keep_every or None
        ),
    )


def save(manager: Manager, state: TrainState) -> None:
    """`save_tree` of a state at its step."""
    save_tree(manager, int(state.step), state)


def save_tree(manager: Manager, step: int, tree: PyTree) -> None:
    """Start writing arrays; returns once they are copied, so donation is safe.

    A failure to write is raised by the next call or by `manager.close()`.
    """
    if jax.process_count() == 1:
        # one device has all; of several orbax has each write a slice, and compiles one
        # for every shape
        tree = jax.tree.map(_on_one_device, tree)
    manager.save(step, args=ocp.args.StandardSave(tree))


def _on_one_device(a: Any) -> Any:
    return a.addressable_data(0) if isinstance(a, jax.Array) else a


def restore(
    manager: Manager, like: TrainState, step: int | None = None
) -> TrainState | None:
    """The newest whole checkpoint, or the one at `step`; None where there is none.

    One that cannot be read (cut short by a full disk, say) is passed over in favour of
    the one before, with a warning that names it; it is kept under another name.
    Errors: ValueError if there are checkpoints and none of them can be read.
    """
    return _newest_whole(manager, partial(restore_tree, manager, like=like), step)


def restore_part(manager: Manager, like: dict[str, PyTree]) -> dict[str, PyTree] | None:
    """As `restore`, of some fields of the state alone: the rest is not even read."""

    def read(step: int) -> Any:
        abstract = _here(like)
        args = ocp.args.PyTreeRestore(
            item=abstract,
            restore_args=ocp.checkpoint_utils.construct_restore_args(abstract),
            partial_restore=True,
        )
        return manager.restore(step, args=args)

    return _newest_whole(manager, read)


def _newest_whole(
    manager: Manager, read: Callable[[int], Any], step: int | None = None
) -> Any:
    steps = sorted(manager.all_steps(), reverse=True)
    if step is not None:
        if step not in steps:
            raise ValueError(f"no checkpoint of step {step}; there are {steps[::-1]}")
        steps = [step]
    for at in steps:
        try:
            return read(at)
        except Exception as error:  # orbax raises many kinds for a damaged checkpoint
            logging.warning("checkpoint of step %d cannot be read: %s", at, error)
    if steps:
        raise ValueError(
            f"none of the checkpoints {steps} in {manager.directory} is whole"
        )
    return None


def restore_tree(manager: Manager, step: int, like: PyTree) -> Any:
    """The arrays saved at a step. Errors: orbax's, of many kinds, for damaged ones."""
    return manager.restore(step, args=ocp.args.StandardRestore(_here(like)))


def _here(like: PyTree) -> PyTree:
    """Shapes with the devices of `like`, or the first one of this machine: from shapes
    alone orbax asks for the devices that wrote them.
    """
    first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(
            a.shape, a.dtype, sharding=getattr(a, "sharding", None) or first
        ),
        like,
    )


def drop_after(manager: Manager, step: int) -> None:
    """Set aside checkpoints newer than `step`: they were passed over as damaged.

    They are renamed to STEP.damaged, not deleted, and their steps can be saved again.
    """
    folder = Path(manager.directory)
    for at in manager.all_steps():
        if at > step:
            (folder / str(at)).rename(folder / f"{at}.damaged")
    manager.reload()
