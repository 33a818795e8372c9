"""Files that appear whole or not at all, and errors that name the file."""

import contextlib
import errno
import json
import math
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

DAMAGED = "it is damaged or edited"
# What the system reports where there is no room: on the disk, for this user, in a file.
FULL = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]

# The names of files while they are written. A kill leaves such files behind.
PARTS = ".*.part*"


class NoRoom(OSError):
    """There is no room for `path`. What was written before is whole."""

    def __init__(self, path: Path, reason: str) -> None:
        self.what = f"{path} cannot be written: {reason}"
        super().__init__(f"{self.what}; make room, and give the same command again")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors: NoRoom that names `path`, whatever a library raises for a full disk."""
    try:
        yield
    except NoRoom:
        raise
    except Exception as error:
        full = [text for text in FULL if text in str(error)]
        if not full:
            raise
        raise NoRoom(path, full[0]) from None


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; the file takes its own name when it is on disk.

    A stop, or a full disk, leaves what was there before. Folders are made.
    Errors: NoRoom, as `writing`.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` to fill, which takes its name at the end.

    `path` is an empty folder or does not exist. A stop leaves it so. A kill also leaves
    .NAME.PID.unfinished, which is none of PARTS: nobody holds a lock on that place.
    Errors: NoRoom, as `writing`.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with writing(path):
            part.mkdir(parents=True)
            yield part
            if path.exists():
                path.rmdir()
            part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=2, default=list) + "\n")


def write_numbers(path: Path, numbers: Mapping[str, Any]) -> None:
    """As JSON: arrays of any shape become lists, and what is not finite null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): plain(v) for k, v in value.items()}
        if hasattr(value, "tolist"):  # of numpy or JAX
            value = value.tolist()
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        odd = isinstance(value, float) and not math.isfinite(value)
        return None if odd else value

    write_json(path, plain(numbers))


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """As np.savez_compressed does, which cannot write an array called "file"."""
    deflated = zipfile.ZIP_DEFLATED
    with whole(path) as part, zipfile.ZipFile(part, "w", deflated) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array))


def beside(arrays: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Both in one file: `arrays` keep their names, others of the same get a "_"."""
    joined = dict(arrays)
    for name, value in others.items():
        while name in joined:
            name = f"_{name}"
        joined[name] = value
    return joined


def read_json(path: Path, cure: str = "bring it back from a copy") -> dict[str, Any]:
    """A file of one JSON object.

    cure: what helps where the file is damaged.
    Errors: FileNotFoundError; ValueError that names a file which holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        stored = json.loads(text, object_pairs_hook=_each_once)
        if not isinstance(stored, dict):
            raise ValueError(f"{type(stored).__name__} instead of {{...}}")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not valid JSON of a run: {error}; {DAMAGED}; {cure}"
        ) from None
    return stored


def whole_number(text: str) -> int:
    """For json.loads, whose whole numbers have no largest one.

    Errors: ValueError for what no float can hold.
    """
    number = int(text)
    try:
        float(number)
    except OverflowError:
        raise ValueError(f"{text[:40]}... is too large a number") from None
    return number


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; json.loads alone would keep the last of two values of a name."""
    stored = dict(pairs)
    if len(stored) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there more than once")
    return stored


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """A ValueError raised inside, about what a file holds, names the file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_arrays(path: Path, *names: str, cure: str = "delete it") -> dict[str, Any]:
    """Every array of an .npz file; those of `names` must be there.

    Errors: FileNotFoundError; ValueError that names a damaged or incomplete file.
    """
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            arrays = dict(file)
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise many kinds
        text = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read ({text}): {DAMAGED}; {cure}") from None
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"{path} has no array {missing[0]!r}: {DAMAGED}; {cure}")
    return arrays


def open_array(
    path: Path, rows: int | None, dtype: Any, row: tuple[int, ...] | None, cure: str
) -> np.ndarray:
    """An .npy file of `rows` rows, read from disk when it is indexed.

    dtype, row: of the values, and the shape of a row; None for any, also for rows.
    Errors: ValueError that names a file which is damaged, or has something else.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except Exception as error:  # numpy and its parser raise many kinds
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} cannot be read ({text}): {DAMAGED}; {cure}") from None
    num = len(array) if rows is None and array.ndim else rows
    shape = (num, *(array.shape[1:] if row is None else row))
    if array.shape != shape or array.dtype != dtype:
        expected = f"{np.dtype(dtype)}{shape}"
        raise ValueError(
            f"{path} has {array.dtype}{array.shape} instead of {expected}: "
            f"{DAMAGED}; {cure}"
        )
    return array
