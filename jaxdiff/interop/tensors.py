"""Files of weights: safetensors, which hold arrays and no code.

A pickle can run code when it is read, so none is opened here: `convert_line` is the
command that makes a safetensors file of one, where torch is installed.
"""

import contextlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.files import whole

SUFFIX = ".safetensors"
# The types of numbers that are read, by their names in the file. Others, such as F8,
# need scales that the file does not hold.
TYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}
COPY = "download or copy it again"
# How a file that torch.save wrote begins: a zip archive, or a bare pickle.
PICKLES = (b"PK\x03\x04", b"\x80")


def is_weights(path: Path) -> bool:
    """Whether a path is of a file of weights, there or not, rather than of a folder."""
    return path.is_file() or path.suffix == SUFFIX


def convert_line(path: Path) -> str:
    """The cure for a pickle of a state dict: the command that converts it."""
    return (
        'to convert it where torch is installed: python -c "import torch, '
        f"safetensors.torch as s; s.save_file(torch.load('{path}', map_location='cpu', "
        f"weights_only=True), '{path.with_suffix(SUFFIX)}')\""
    )


def shapes(path: Path, cure: str = "") -> dict[str, tuple[int, ...]]:
    """The shape of every array of a safetensors file by its name; no array is read.

    cure: ends the message of an error, instead of `convert_line`.
    Errors: FileNotFoundError. ValueError in one line that names the file, for another
            format, a damaged file and types that numpy does not have; or without the
            package safetensors.
    """
    with _opened(path, cure) as (file, names):
        return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def read(path: Path, cure: str = "") -> dict[str, np.ndarray]:
    """Every array of a safetensors file by its name, in its own type of numbers.

    Errors: as `shapes`.
    """
    with _opened(path, cure) as (file, names):
        return {name: file.get_tensor(name) for name in names}


def header(path: Path, cure: str = "") -> dict[str, str]:
    """The texts that a safetensors file holds beside its arrays; {} without.

    Errors: as `shapes`.
    """
    with _opened(path, cure) as (file, _):
        return file.metadata() or {}


def write(
    path: Path,
    tensors: Mapping[str, np.ndarray],
    about: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file whole or not at all. about: texts beside the arrays.

    Errors: ValueError without the package safetensors; OSError.
    """
    save = _package(path).numpy.save
    arrays = {name: np.asarray(a, order="C") for name, a in tensors.items()}
    with whole(path) as part:
        # not save_file, whose files nobody else may read
        part.write_bytes(save(arrays, {**(about or {})} or None))


def _holds_pickle(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".pkl") for name in archive.namelist())


@contextlib.contextmanager
def _opened(path: Path, cure: str) -> Iterator[Any]:
    package, line = _package(path), cure or convert_line(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} of weights; {line}")
    with path.open("rb") as raw:
        head = raw.read(9)
    if zipfile.is_zipfile(path) and not _holds_pickle(path):
        raise ValueError(
            f"{path} is an archive without weights, such as an .npz or a file of "
            f"launch.export, and not a safetensors file; {line}"
        )
    # the length of a safetensors file's header may begin like a pickle; then comes {
    require(
        head[8:] == b"{" or not head.startswith(PICKLES),
        f"{path} is a pickle, which could run code, and not a safetensors file; {line}",
    )
    # a damaged file is not cured by torch, and a line that reads it would overwrite it
    again = cure or (COPY if path.suffix == SUFFIX else line)
    with _intact(path, again), package.safe_open(path, framework="np") as file:
        names = [*file.keys()]
        kinds = {name: file.get_slice(name).get_dtype() for name in names}
    for name, kind in kinds.items():
        require(
            kind in TYPES,
            f"{path}: {name} holds numbers of type {kind}, and only "
            f"{', '.join(sorted(TYPES))} are read",
        )
    with _intact(path, again), package.safe_open(path, framework="np") as file:
        yield file, [*kinds]


@contextlib.contextmanager
def _intact(path: Path, cure: str) -> Iterator[None]:
    """One ValueError for whatever the package raises."""
    try:
        yield
    except Exception as error:  # it raises many kinds for a damaged file
        text = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not a safetensors file that can be read ({text}); {cure}"
        ) from None


def _package(path: Path) -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} cannot be read or written without safetensors: pip install "
            "'jaxdiff[inception]'"
        ) from None
    return safetensors
