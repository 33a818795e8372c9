"""Data parallelism. This is the one file that uses pmap.

The state goes in whole and comes out whole (in_axes and out_axes are None), so it is
never replicated or collected. Only the batch is split, along its first axis.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdiff.arrays import PyTree, require

AXIS = "data"

Devices = Sequence[Any]  # of jax.Device


class PmapStep:
    """(state, batch, key) -> (state, metrics) over devices.

    Args:    step: see train/step.py.  devices: those to split the batch over.
             frozen: a tree that every step gets whole, such as a teacher. It is put on
             every device once, here, and never donated.
    A call takes batches whose leaves are [d, k, b / d, ...], as from `shard`, and
    donates the state's buffers.

    A call returns when the call before it is done, so devices are never idle, and never
    far behind. XLA's CPU devices depend on this: they share a few threads, and with
    many calls in flight these would all wait in all-reduces that can never complete.
    """

    def __init__(self, step: Callable, devices: Devices, frozen: PyTree = None) -> None:
        self._run: Any = jax.pmap(
            step,
            axis_name=AXIS,
            in_axes=(None, 0, None, None),
            out_axes=None,  # type: ignore[arg-type]  # None is a prefix like in_axes'
            devices=list(devices),
            donate_argnums=0,
        )
        self._frozen, self._before = replicate(frozen, devices), None

    def __call__(self, state: PyTree, batch: PyTree, key: jax.Array) -> Any:
        state, metrics = self._run(state, batch, key, self._frozen)
        jax.block_until_ready(self._before)
        self._before = metrics
        return state, metrics

    def lower(self, state: PyTree, batch: PyTree, key: jax.Array) -> Any:
        """The step's program; when it is compiled, calls of its shapes need not."""
        return self._run.lower(state, batch, key, self._frozen)


def replicate(tree: PyTree, devices: Devices) -> PyTree:
    """Put a tree on every device as `PmapStep` returns it: nothing compiles twice.

    The arrays keep their shapes; no leading axis is added.
    """
    mesh = Mesh(np.array(devices), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def any_process(flag: bool) -> bool:
    """Whether it is true in any of the processes; all of them must call it at once."""
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def pmap_map(f: Callable, devices: Devices, split: Sequence[bool]):
    """Map f over devices.

    Args:    split: for each argument, whether it is [d, b / d, ...] or passed whole.
    Returns: a function whose outputs are [d, ...].
    """
    axes = tuple(0 if one else None for one in split)
    return jax.pmap(f, in_axes=axes, devices=list(devices))


def shard(batch: PyTree, num_devices: int, axis: int = 0) -> PyTree:
    """Split `axis` of every leaf into num_devices parts, and move these to the front.

    [..., b, ...] -> [d, ..., b / d, ...]
    """

    def split(leaf):
        shape = leaf.shape
        parts = leaf.reshape(*shape[:axis], num_devices, -1, *shape[axis + 1 :])
        return np.moveaxis(parts, axis, 0) if axis else parts

    return jax.tree.map(split, batch)


def unshard(tree: PyTree) -> PyTree:
    """[d, b / d, ...] -> [b, ...]."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), tree)


def check_divides(batch_size: int, accumulate: int, num_devices: int) -> None:
    """Check that every device gets whole micro-batches of one size.

    Errors: ValueError, with the nearest batch size that does.
    """
    parts = num_devices * accumulate
    require(
        batch_size % parts == 0,
        f"train.batch_size={batch_size} must be divisible by devices x "
        f"train.accumulate = {num_devices} x {accumulate}; the nearest that is: "
        f"{max(parts, round(batch_size / parts) * parts)}",
    )
