"""Orbax checkpoints of the training state: asynchronous, keep-last and keep-every."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from jaxdiff.arrays import PyTree
from jaxdiff.files import writing
from jaxdiff.train import checksums
from jaxdiff.train.state import TrainState

Manager = ocp.CheckpointManager
Registry = ocp.handlers.DefaultCheckpointHandlerRegistry
ITEM = "default"  # orbax's name of the tree in a checkpoint
# How tensorstore's errors begin: "RESOURCE_EXHAUSTED: ...". Any other is a bug.
STATUS = re.compile(r"[A-Z][A-Z_]+: ")
# How often, and after how many seconds, checkpoints that change are looked at again.
ATTEMPTS, PAUSE = 20, 0.1


def open_manager(
    directory: Path,
    *,
    keep_last: int | None,
    keep_every: int = 0,
    writes: bool = False,
) -> Manager:
    """Checkpoints under `directory`, one folder per step.

    Args: keep_last: how many of the newest to keep; None keeps all.
          keep_every: multiples of this step are kept for good; 0 for none.
          writes: no other process does; what a stop cut short is deleted.
    """
    # named handlers: orbax would infer them from the newest folder, even an empty one
    registry, standard = Registry(), ocp.StandardCheckpointHandler()
    registry.add(ITEM, ocp.args.StandardSave, standard)
    registry.add(ITEM, ocp.args.StandardRestore, standard)
    registry.add(ITEM, ocp.args.PyTreeRestore, ocp.PyTreeCheckpointHandler())
    return ocp.CheckpointManager(
        epath.Path(directory.resolve()),
        options=ocp.CheckpointManagerOptions(
            max_to_keep=keep_last,
            keep_period=keep_every or None,
            cleanup_tmp_directories=writes,
        ),
        handler_registry=registry,
    )


def save(manager: Manager, state: TrainState) -> None:
    """Save a state at its step, by `save_tree`."""
    save_tree(manager, int(state.step), state)


def save_tree(manager: Manager, step: int, tree: PyTree) -> None:
    """Start to write arrays; returns when they are copied, so buffers can be donated.

    A failure to write is raised by the next call, by `check_written` or by `close`.
    Errors: NoRoom.
    """
    if jax.process_count() == 1:
        # one device holds everything; with several, orbax lets each write a slice, and
        # compiles a program for every shape
        tree = jax.tree.map(_on_one_device, tree)
    about: dict[str, Any] = {checksums.KEY: checksums.of(tree)}
    with _writing(manager):
        manager.save(step, args=ocp.args.StandardSave(tree, custom_metadata=about))


def wait(manager: Manager) -> None:
    """Until all is written. Errors: NoRoom; OSError."""
    with _writing(manager):
        manager.wait_until_finished()


def check_written(manager: Manager) -> None:
    """Errors: NoRoom; OSError, if what is being written has failed already."""
    with _writing(manager):
        manager.check_for_errors()


def close(manager: Manager) -> None:
    """Wait until all is written. Errors: NoRoom; OSError for what else cannot be."""
    with _writing(manager):
        manager.close()


@contextlib.contextmanager
def _writing(manager: Manager) -> Iterator[None]:
    """A ValueError of tensorstore becomes an OSError that names the folder."""
    try:
        with writing(Path(manager.directory)):
            yield
    except ValueError as error:
        text = " ".join(str(error).split())
        if not STATUS.match(text):
            raise
        raise OSError(f"{manager.directory} cannot be written: {text}") from error


def fingerprint(directory: Path, step: int) -> str:
    """One checksum of all that was saved at a step. A run that is trained anew has
    another one. "" for no checkpoint, one without checksums, or one that cannot be read
    (which whoever needs its arrays reports).
    """
    if not (directory / str(step) / ITEM).is_dir():
        return ""
    try:
        with open_manager(directory, keep_last=None) as manager:
            sums = checksums.stored(manager.item_metadata(step))
    except Exception:  # orbax raises many kinds for a damaged checkpoint
        return ""
    return checksums.fingerprint(sums or {})


def _check_fits(manager: Manager, step: int, like: PyTree) -> dict[str, str] | None:
    """The checksums; ValueError for arrays of another shape, or that were not saved."""
    about = manager.item_metadata(step)
    leaves = jax.tree_util.tree_leaves_with_path(getattr(about, "tree", about))
    stored = {checksums.name(path): tuple(a.shape) for path, a in leaves}
    for path, a in jax.tree_util.tree_leaves_with_path(like):
        name = checksums.name(path)
        if stored.get(name) != tuple(a.shape):
            has = f"of shape {stored[name]}" if name in stored else "missing"
            raise ValueError(
                f"{name} is {has} there, and the model of this config has {a.shape}"
            )
    return checksums.stored(about)


def _on_one_device(a: Any) -> Any:
    return a.addressable_data(0) if isinstance(a, jax.Array) else a


def restore(
    manager: Manager, like: TrainState, step: int | None = None
) -> TrainState | None:
    """The newest complete checkpoint, or the one at `step`; None if there is none.

    A checkpoint that cannot be read (cut short by a full disk, for example) is skipped
    in favour of the one before. A warning names it, and it is kept under another name.

    Args:   like: a state of the same shapes.
    Errors: ValueError if there are checkpoints and none of them can be read.
    """
    return _newest_whole(manager, partial(restore_tree, manager, like=like), step)


def restore_part(manager: Manager, like: dict[str, PyTree]) -> dict[str, PyTree] | None:
    """Like `restore`, for some fields of the state; the others are not read at all."""

    def read(step: int) -> Any:
        abstract = _here(like)
        stored = _check_fits(manager, step, like)
        args = ocp.args.PyTreeRestore(
            item=abstract,
            restore_args=ocp.checkpoint_utils.construct_restore_args(abstract),
            partial_restore=True,
        )
        restored = manager.restore(step, args=args)
        checksums.check(manager.directory, stored, restored)
        return restored

    return _newest_whole(manager, read)


def read_part(directory: Path, like: dict[str, PyTree]) -> dict[str, PyTree] | None:
    """As `restore_part`, of a run that may be training: it deletes old checkpoints and
    writes new ones. The newest that is there is read.

    Errors: ValueError, also if they change each time.
    """
    for _ in range(ATTEMPTS):
        steps = _steps(directory)
        try:
            with open_manager(directory, keep_last=None) as manager:
                part = restore_part(manager, like)
            if part is not None or not steps:
                return part
        except (Changed, OSError):
            if _steps(directory) == steps:
                raise
        time.sleep(PAUSE)
    raise ValueError(
        f"the checkpoints in {directory} are replaced before they are read; keep more "
        "of them (train.keep_last), or stop the run"
    )


class Changed(ValueError):
    """A checkpoint could not be read, and others are there now."""


def _steps(directory: Path) -> set[int]:
    """As orbax lists them: "007" is no folder of step 7."""
    names = (path.name for path in directory.iterdir() if path.is_dir())
    return {int(n) for n in names if n.isdecimal() and n == str(int(n))}


def _newest_whole(
    manager: Manager, read: Callable[[int], Any], step: int | None = None
) -> Any:
    folder, steps = Path(manager.directory), sorted(manager.all_steps(), reverse=True)
    errors, there = [], {*steps}  # when the manager was opened
    if step is not None:
        if step not in steps:
            raise ValueError(f"no checkpoint of step {step}; there are {steps[::-1]}")
        steps = [step]
    for at in steps:
        try:
            # after a look at a folder without arrays, orbax misreads all the others
            if not (folder / str(at) / ITEM).is_dir():
                raise ValueError(f"it has no folder {ITEM}")
            tree = read(at)
        except Exception as error:  # orbax raises many kinds for a damaged checkpoint
            if _steps(folder) != there:
                raise Changed(
                    f"the checkpoints in {folder} are being changed"
                ) from None
            reason = " ".join(str(error).partition("[tensorstore_spec")[0].split())
            errors.append(f"step {at} cannot be used: {reason}")
            continue
        if errors:
            logging.warning("%s: %s; step %d is used", folder, "; ".join(errors), at)
        return tree
    if steps:
        raise ValueError(
            f"none of the checkpoints {steps} in {folder} can be used; {errors[0]}"
        )
    return None


def restore_tree(manager: Manager, step: int, like: PyTree) -> Any:
    """The arrays saved at a step. Errors: ValueError for one that holds other values
    than were saved, and orbax's, of many kinds, for what it cannot read.
    """
    stored = _check_fits(manager, step, like)
    restored = manager.restore(step, args=ocp.args.StandardRestore(_here(like)))
    checksums.check(manager.directory, stored, restored)
    return restored


def _here(like: PyTree) -> PyTree:
    """Shapes on the devices of `like`, or on this machine's first device.

    With shapes alone, orbax would need the devices that wrote the checkpoint.
    """
    first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(
            a.shape, a.dtype, sharding=getattr(a, "sharding", None) or first
        ),
        like,
    )


def drop_after(manager: Manager, step: int) -> None:
    """Set aside checkpoints newer than `step`, which were skipped as damaged.

    They are renamed to STEP.damaged (STEP.damaged2 ...), not deleted, and their steps
    can be saved again.
    """
    folder = Path(manager.directory)
    for at in manager.all_steps():
        if at > step:
            names = (f"{at}.damaged{k}" for k in ["", *range(2, 1000)])
            free = next(name for name in names if not (folder / name).exists())
            (folder / str(at)).rename(folder / free)
    manager.reload()
