"""What differs if data differ: of values in memory, or of files by name and size."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np

# Of an array, how much goes into its fingerprint; of a single file, how much is read.
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
    """Of the names and sizes of all files below a path; of a single file's bytes.

    A large file counts by its size alone. Hidden files do not count.
    Returns: "" where there are no files, or too many to be listed in a second.
    """
    root, end = Path(path).expanduser(), time.monotonic() + PATIENCE
    if root.is_file():
        size = root.stat().st_size
        read = root.read_bytes() if size <= MOST_READ else b""
        return hashlib.blake2b(f"{size} ".encode() + read, digest_size=8).hexdigest()
    seen = []
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if name[0] != "."]
        for name in files:
            if name[0] != ".":
                file = Path(folder, name)
                size = file.stat().st_size if file.exists() else -1
                seen.append(f"{file.relative_to(root).as_posix()} {size}")
        if time.monotonic() > end:
            return ""
    text = "\n".join(sorted(seen))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if seen else ""
