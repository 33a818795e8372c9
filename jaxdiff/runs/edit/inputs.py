"""What an edit starts from: pictures in files, or the run's own data."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxdiff.arrays import PyTree, require
from jaxdiff.data import folder
from jaxdiff.data.source import Source


class EditInputs(NamedTuple):
    """values: f32[n, h, w, c] in data units.  names: n different ones.

    cond: as the run's data have it, each leaf leading with n; None for files.
    from_data: whether they are the run's own data.
    """

    values: np.ndarray
    names: list[str]
    cond: PyTree
    from_data: bool

    def counts(self, num: int) -> str:
        """For a summary of `num` results of each."""
        return f"{len(self.values)} images, {num} of each"


def from_files(
    paths: Sequence[str], source: Source, shape: tuple[int, ...], resize: bool
) -> EditInputs:
    """As data of the source with that shape. paths, resize, Errors: folder.read_all."""
    pixels, files = folder.read_all(paths, shape, resize)
    stems = [file.stem for file in files]
    names = stems if len({*stems}) == len(stems) else [str(file) for file in files]
    return _of(pixels, names, source)


def from_pixels(
    pixels: np.ndarray, source: Source, shape: tuple[int, ...]
) -> EditInputs:
    """Of u8[n, *shape]. Errors: ValueError for another type or shape."""
    require(
        pixels.dtype == np.uint8 and pixels.shape[1:] == shape,
        f"images must be uint8 of shape (n, {', '.join(map(str, shape))}), got "
        f"{pixels.dtype} {pixels.shape}",
    )
    return _of(pixels, [f"image {i}" for i in range(len(pixels))], source)


def _of(pixels, names, source):
    values = pixels.astype(np.float32) * (source.peak / 255)
    return EditInputs(values, names, None, from_data=False)


def from_data(texts: Sequence[str], source: Source) -> EditInputs:
    """Examples of the run's own data: "3" is one, "0:200" those from 0 to 199.

    Errors: ValueError for another text, and for a number without an example.
    """
    index = []
    for text in texts:
        parts = text.split(":")
        require(
            re.fullmatch(r" *\d{1,18} *(: *\d{1,18} *)?", text, re.ASCII),
            f"--data_index must look like 0,1,2 or 0:200, got {text!r}",
        )
        first, last = int(parts[0]), int(parts[-1]) + (len(parts) == 1)
        there = f"the data have {len(source)}, from 0 on"
        require(last <= len(source), f"--data_index: no example {last - 1}; {there}")
        index += range(first, last)
    require(index, "--data_index names no example; 0:4 are the first four")
    require(len({*index}) == len(index), "--data_index names an example twice")
    batch = source[np.array(index)]
    labels = source.labels_of(batch)
    kinds = [""] * len(index)
    if labels is not None:
        kinds = [f" ({source.class_names[k]})" for k in labels]
    names = [f"example {i}{kind}" for i, kind in zip(index, kinds, strict=True)]
    cond = batch.get("cond")
    return EditInputs(source.decode(batch["x"]), names, cond, from_data=True)
