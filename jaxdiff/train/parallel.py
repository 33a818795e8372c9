"""Data parallelism: the one file that uses pmap.

The state is given whole and comes back whole (in_axes and out_axes None): no copies to
make, none to undo. Only the batch is split, on the axis in front.
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


def pmap_step(step: Callable, devices: Devices, frozen: PyTree = None) -> Callable:
    """(state, batch, key) -> (state, metrics) over devices.

    batch leaves [d, k, b / d, ...] as from `shard`. The state's buffers are donated.
    frozen: what every step is given whole beside them, such as a teacher; it is put on
    every device once, here, and never donated.
    A call returns when the call before it is done: the devices are never idle, and
    never far behind. XLA's CPU devices need that, for they share a few threads: with
    many calls under way all of them come to wait in all-reduces that cannot meet.
    """
    mapped = jax.pmap(
        step,
        axis_name=AXIS,
        in_axes=(None, 0, None, None),
        out_axes=None,  # type: ignore[arg-type]  # None is a prefix like in_axes'
        devices=list(devices),
        donate_argnums=0,
    )
    frozen, before = replicate(frozen, devices), []

    def call(state, batch, key):
        state, metrics = mapped(state, batch, key, frozen)
        jax.block_until_ready(before)
        before[:] = [metrics]
        return state, metrics

    return call


def replicate(tree: PyTree, devices: Devices) -> PyTree:
    """Put a tree on every device, as `pmap_step` gives it back: it compiles once.

    The arrays keep their shapes: this is a placement, not a leading axis.
    """
    mesh = Mesh(np.array(devices), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def any_process(flag: bool) -> bool:
    """Whether it is true in any of the processes; all of them must ask at once."""
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def pmap_map(f: Callable, devices: Devices, split: Sequence[bool]):
    """f over devices; arguments with split[i] lead with [d, b / d, ...], others whole.

    Outputs lead with [d, ...].
    """
    axes = tuple(0 if one else None for one in split)
    return jax.pmap(f, in_axes=axes, devices=list(devices))


def shard(batch: PyTree, num_devices: int, axis: int = 0) -> PyTree:
    """Split every leaf's `axis` b into num_devices parts, moved in front: [d, ...]."""

    def split(leaf):
        shape = leaf.shape
        parts = leaf.reshape(*shape[:axis], num_devices, -1, *shape[axis + 1 :])
        return np.moveaxis(parts, axis, 0) if axis else parts

    return jax.tree.map(split, batch)


def unshard(tree: PyTree) -> PyTree:
    """[d, b / d, ...] -> [b, ...]."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), tree)


def check_divides(batch_size: int, accumulate: int, num_devices: int) -> None:
    """ValueError unless every device gets whole micro-batches of one size."""
    parts = num_devices * accumulate
    require(
        batch_size % parts == 0,
        f"train.batch_size={batch_size} must divide by devices x train.accumulate = "
        f"{num_devices} x {accumulate}; the nearest that does: "
        f"{max(parts, round(batch_size / parts) * parts)}",
    )
