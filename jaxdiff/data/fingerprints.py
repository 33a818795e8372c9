"""What differs if data differ: of values in memory, or of files by name and size."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np

# Of an array, how much goes into its fingerprint; of files, how much is read.
MOST_BYTES = 512 * 2**20
MOST_READ = 64 * 2**20
# Seconds after which files are no longer listed.
PATIENCE = 1.0


def of_arrays(*arrays: np.ndarray | None) -> str:
    """16 hexadecimal digits of the values, types and shapes of arrays.

    Of an array of more than MOST_BYTES, of as many rows as make that, evenly spread, so
    that it takes about a second.
    """
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        if array is not None:
            digest.update(f"{array.dtype} {array.shape}".encode())
            every = max(-(-array.nbytes // MOST_BYTES), 1)
            digest.update(np.ascontiguousarray(array[::every]).tobytes())
    return digest.hexdigest()


def of_columns(names: tuple[str, ...], columns: list[np.ndarray]) -> str:
    """The same of a table, whatever the order of its columns."""
    parts = sorted(zip(names, map(of_arrays, columns), strict=True))
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def of_files(path: str) -> str:
    """Of the names, sizes and bytes of the files at a path; hidden ones do not count.

    Of more than MOST_READ bytes, names and sizes alone count.
    Returns: "" where there are no files, or if it takes over a second.
    """
    root, end = Path(path).expanduser(), time.monotonic() + PATIENCE
    sizes = {root: root.stat().st_size} if root.is_file() else {}
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if name[0] != "."]
        paths = [Path(folder, name) for name in files if name[0] != "."]
        sizes |= {file: file.stat().st_size for file in paths if file.is_file()}
        if time.monotonic() > end:
            return ""
    digest, reads = hashlib.blake2b(digest_size=8), sum(sizes.values()) <= MOST_READ
    for file, size in sorted(sizes.items()):
        digest.update(f"{file.relative_to(root).as_posix()} {size}".encode())
        if reads:
            digest.update(file.read_bytes())
        if time.monotonic() > end:
            return ""
    return digest.hexdigest() if sizes else ""
