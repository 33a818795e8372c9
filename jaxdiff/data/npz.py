"""Arrays in one .npz file: images, with or without labels, or columns."""

from pathlib import Path

import numpy as np

from jaxdiff.data import arrays
from jaxdiff.data.source import Source, of_files
from jaxdiff.files import DAMAGED

SPLITS = ("train", "val", "test")


def make(
    path: str, split: str = "train", low: float = -1.0, checksum: str = ""
) -> Source:
    """The arrays of an .npz file, as arrays.as_source takes values by name.

    Names such as x_train, y_train, x_test, or train_images, are those of splits.

    Args:   path: of the file.  split: train, val or test; without such names it is all.
            low: value of black in model units.  checksum: of the file; "" accepts any.
    Errors: FileNotFoundError if there is no such file; ValueError for another file, no
            such split, what as_source refuses, and another checksum.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"data.path: there is no file {path!r}; give an .npz")
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = _of_split([*archive], split, path)
            values = {short: archive[name] for short, name in names.items()}
    # what numpy and zipfile raise for other bytes, and for pickled objects
    except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
        if str(error).startswith("data."):
            raise
        raise ValueError(
            f"data.path={path} is no .npz of arrays, or {DAMAGED}"
        ) from None
    try:
        source = arrays.as_source(values, low=low)
    except ValueError as error:
        raise ValueError(f"data.path={path}: {error}") from None
    return of_files(source, [file], file, checksum)


def _of_split(names: list[str], split: str, path: str) -> dict[str, str]:
    """{name without its split: name} of a split; all names if none has a split."""
    parts = {name: name.split("_") for name in names}
    there = {part for words in parts.values() for part in words if part in SPLITS}
    if not there:
        return {name: name for name in names}
    if split not in there:
        raise ValueError(
            f"data.split={split!r}: {path} has {', '.join(sorted(there))}; its arrays "
            f"are {', '.join(names)}"
        )
    return {
        "_".join(word for word in words if word != split): name
        for name, words in parts.items()
        if split in words
    }
