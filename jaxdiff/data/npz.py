"""Arrays in one .npz file: images, with or without labels, or columns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxdiff.data import arrays
from jaxdiff.data.listing import few
from jaxdiff.data.source import Source, of_files
from jaxdiff.files import DAMAGED

SPLITS = ("train", "val", "test")


def make(
    path: str, split: str = "train", low: float = -1.0, checksum: str = ""
) -> Source:
    """The arrays of an .npz file, as arrays.as_source takes values by name.

    Names such as x_train, y_train, x_test, or train_images, are those of splits where
    they pair images with labels, or where every split has the same ones. In a table
    such as epoch, train_loss, val_loss they are names of columns.

    Args:   path: of the file.  split: train, val or test; without such names it is all.
            low: value of black in model units.  checksum: of the file; "" accepts any.
    Errors: FileNotFoundError if there is no such file; ValueError for another file, no
            such split, what as_source refuses, and another checksum.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"data.path: there is no file {path!r}; give an .npz")
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as archive:
            names = _of_split(archive, split, path)
            values = {short: archive[name] for short, name in names.items()}
            there, others = [*archive], _without_split(archive)
    except Exception as error:  # numpy, zipfile and zlib raise many kinds
        if str(error).startswith("data."):
            raise
        text = " ".join(str(error).split())
        raise ValueError(
            f"data.path={path} is no .npz of arrays, or {DAMAGED} ({text}); write it "
            "anew with np.savez"
        ) from None
    try:
        source = arrays.as_source(values, low=low)
    except ValueError as error:
        raise ValueError(f"data.path={path}: {error}") from None
    if len(values) < len(there) and others:
        note = f"{path}: left out {len(others)} arrays of no split: {few(others)}"
        source = replace(source, notes=(*source.notes, note))
    return of_files(source, [file], file, checksum)


def _of_split(
    archive: Mapping[str, np.ndarray], split: str, path: str
) -> dict[str, str]:
    """{name without its split: name} of a split; all names if they are of no split."""
    others, parts = _without_split(archive), dict[str, dict[str, str]]()
    for name in archive:
        if name not in others:
            words = name.split("_")
            part = next(word for word in words if word in SPLITS)
            short = "_".join(word for word in words if word != part)
            parts.setdefault(part, {})[short] = name
    if not parts:
        return {name: name for name in archive}
    if not _are_splits(archive, parts, others):
        if split == "train":
            return {name: name for name in archive}
        parts.clear()
    if split not in parts:
        raise ValueError(
            f"data.split={split!r}: {path} has {', '.join(sorted(parts)) or 'none'}; "
            f"its arrays are {', '.join(archive)}"
        )
    return parts[split]


def _are_splits(
    archive: Mapping[str, np.ndarray],
    parts: Mapping[str, Mapping[str, str]],
    others: Sequence[str],
) -> bool:
    """Whether images are paired with labels, or tables of other lengths are alike."""
    names = [name for some in parts.values() for name in some.values()]
    if len(names) + len(others) < len([*archive]):
        return False  # x_train and train_x would be one
    alike = len(parts) > 1 and len({frozenset(some) for some in parts.values()}) == 1
    paired = alike or not others or any(len(some) > 1 for some in parts.values())
    # an array at a time: only those of one split need be in memory
    if paired and any(arrays.is_pictured(archive[name]) for name in names):
        return True
    # columns of one length are one table: train_loss and val_loss, by epoch
    return alike and not others and len({archive[n].shape[:1] for n in names}) > 1


def _without_split(names: Iterable[str]) -> list[str]:
    """Those in which not exactly one word is that of a split."""
    return [n for n in names if sum(word in SPLITS for word in n.split("_")) != 1]
