"""Checksums of a checkpoint's arrays, kept beside them: orbax's files have none."""

import os
import zlib
from typing import Any

import jax
import numpy as np

from jaxdiff.arrays import PyTree
from jaxdiff.notes import note_once

KEY = "checksums"  # in the tree's metadata


def of(tree: PyTree) -> dict[str, str]:
    """{path of an array: CRC-32 of its values}, of the arrays that this process has.

    A checksum is of the bytes in memory, so that it also covers how they were written.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        name(path): _checksum(a)
        for path, a in leaves
        if not isinstance(a, jax.Array) or a.is_fully_replicated
    }


def name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _checksum(a: Any) -> str:
    values = np.ascontiguousarray(a)
    return f"{zlib.crc32(values.reshape(-1).view(np.uint8).data):08x}"


def stored(about: Any) -> dict[str, str] | None:
    """Those in orbax's metadata of a tree; None in older checkpoints."""
    return (getattr(about, "custom_metadata", None) or {}).get(KEY)


def check(folder: os.PathLike, sums: dict[str, str] | None, tree: PyTree) -> None:
    """ValueError for an array that is not what was saved."""
    if sums is None:
        note_once(f"{folder} was written without checksums: not verified")
        return
    read = of(tree)
    damaged = [path for path in read if sums.get(path, read[path]) != read[path]]
    if damaged:
        raise ValueError(f"{damaged[0]} holds other values than were saved")


def fingerprint(sums: dict[str, str]) -> str:
    """One checksum of all; "" for none."""
    every = repr(sorted(sums.items())).encode()
    return f"{zlib.crc32(every):08x}" if sums else ""
