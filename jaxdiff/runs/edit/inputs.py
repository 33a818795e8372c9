"""What an edit starts from: pictures in files or the run's own data, and a mask."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff.arrays import PyTree, require
from jaxdiff.data import folder
from jaxdiff.data.source import Source

# Masks without a file: which rows y and columns x, from 0 to 1, are drawn anew.
REGIONS = {
    "top": lambda y, x: y < 0.5,
    "bottom": lambda y, x: y > 0.5,
    "left": lambda y, x: x < 0.5,
    "right": lambda y, x: x > 0.5,
    "centre": lambda y, x: np.maximum(np.abs(y - 0.5), np.abs(x - 0.5)) < 0.25,
}


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
    """Pictures, and all pictures of folders, as data of the source with that shape.

    resize: bring other sizes to it, after cutting the centre to its aspect.
    Errors: FileNotFoundError for a path that does not exist; ValueError that names the
            file for what is no picture, and for one of another size.
    """
    h, w, c = shape
    files = [file for path in paths for file in _listed(Path(path).expanduser())]
    values = []
    for file in files:
        pixels = folder.read_file(file, (h, w) if resize else None, True, c)
        _check_size(str(file), pixels, shape, "--resize brings it to that")
        values.append(pixels.astype(np.float32) * (source.peak / 255))
    stems = [file.stem for file in files]
    names = stems if len({*stems}) == len(stems) else [str(file) for file in files]
    return EditInputs(np.stack(values), names, None, from_data=False)


def from_data(texts: Sequence[str], source: Source) -> EditInputs:
    """Examples of the run's own data: "3" is one, "0:200" those from 0 to 199.

    Errors: ValueError for another text, and for a number without an example.
    """
    index = []
    for text in texts:
        parts = text.split(":")
        require(
            len(parts) <= 2 and all(part.strip().isdigit() for part in parts),
            f"--data_index must look like 0,1,2 or 0:200, got {text!r}",
        )
        first, last = int(parts[0]), int(parts[-1])
        index += [*range(first, last)] if len(parts) == 2 else [first]
    require(index, "--data_index names no example; 0:4 are the first four")
    require(
        max(index) < len(source),
        f"--data_index: there is no example {max(index)}; the data have {len(source)}, "
        "from 0 on",
    )
    require(len({*index}) == len(index), "--data_index names an example twice")
    batch = source[np.array(index)]
    labels = source.labels_of(batch)
    kinds = [""] * len(index)
    if labels is not None:
        kinds = [f" ({source.class_names[k]})" for k in labels]
    names = [f"example {i}{kind}" for i, kind in zip(index, kinds, strict=True)]
    cond = batch.get("cond")
    return EditInputs(source.decode(batch["x"]), names, cond, from_data=True)


def read_mask(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """bool[h, w], what is drawn anew: white in the file, or a region of REGIONS.

    Errors: FileNotFoundError for no such file; ValueError for another size, and for a
            mask that leaves nothing to keep, or nothing to draw.
    """
    h, w = shape[:2]
    if text in REGIONS:
        y, x = np.mgrid[:h, :w]
        drawn = REGIONS[text]((y + 0.5) / h, (x + 0.5) / w)
    else:
        if not Path(text).expanduser().is_file():
            raise FileNotFoundError(
                f"--mask: there is no file {text!r}; give one, white where the image "
                f"is to be drawn anew, or one of {', '.join(REGIONS)}"
            )
        pixels = folder.read_file(Path(text).expanduser(), None, False, 1)
        _check_size(f"--mask {text}", pixels, (h, w, 1), "it must be of that size")
        drawn = pixels[..., 0] > 127
    require(drawn.any(), f"--mask {text} is black all over: nothing to be drawn anew")
    require(not drawn.all(), f"--mask {text} is white all over: nothing to be kept")
    return drawn


def _listed(path):
    if path.is_dir():
        return folder.find(str(path))[0]
    if not path.is_file():
        raise FileNotFoundError(f"--image: there is no file or folder {str(path)!r}")
    return [path]


def _check_size(name, pixels, shape, cure):
    (h, w), (high, wide) = pixels.shape[:2], shape[:2]
    require(
        (h, w) == (high, wide),
        f"{name} is {w}x{h}, and {wide}x{high} is needed here; {cure}",
    )
