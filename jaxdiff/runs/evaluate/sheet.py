"""The picture of a comparison: real images, and below them those of each folder."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from jaxdiff.plots import pictures
from jaxdiff.runs.evaluate.folders import Samples

# Columns, and rows of each folder.
ACROSS, DOWN = 10, 3


def save(
    path: Path,
    real: Samples,
    samples: Sequence[Samples],
    distances: Sequence[float],
    class_names: Sequence[str],
    title: str,
) -> None:
    """Rows named by folder and Frechet distance; where labels are known, one class a
    column. title: the class, where all images are of one.
    """
    short = [some.folder.name for some in samples]
    if len({*short}) < len(short):
        short = [str(some.folder) for some in samples]
    names = ["real data"]
    for name, distance, some in zip(short, distances, samples, strict=True):
        resized = some.resized.split(", ") if some.resized else []
        names.append("\n".join([name, f"Frechet {distance:.4g}", *resized]))
    sheets = [real, *samples]
    classes = [] if title else common_classes(sheets)
    strips = {}
    for name, some in zip(names, sheets, strict=True):
        for i, strip in enumerate(strips_of(some, classes)):
            # names are keys: the rows around the middle one are called by blanks
            strips[name if i == DOWN // 2 else " " * len(strips)] = strip
    # as many letters as stand above an image
    wrap = {"width": 12, "break_long_words": False, "break_on_hyphens": False}
    columns = [fill(class_names[k], **wrap) for k in classes]
    pictures.save_rows(path, strips, columns=columns, title=title, group=DOWN)


def common_classes(sheets: Sequence[Samples]) -> list[int]:
    """Up to ACROSS classes that all have, evenly chosen; [] if one has no labels."""
    known = [{*some.labels.tolist()} for some in sheets if some.labels is not None]
    have = sorted(set.intersection(*known)) if len(known) == len(sheets) else []
    at = np.linspace(0, len(have) - 1, min(ACROSS, len(have)))
    return [have[i] for i in at.round().astype(int)]


def strips_of(some: Samples, classes: Sequence[int]) -> np.ndarray:
    """u8[DOWN, columns, h, w, c]: each column a class, or without classes as they come.

    What there is not is white.
    """
    if classes:
        assert some.labels is not None
        at = np.full((DOWN, len(classes)), -1)
        for column, k in enumerate(classes):
            found = np.flatnonzero(some.labels == k)[:DOWN]
            at[: len(found), column] = found
    else:
        at = np.arange(DOWN * ACROSS).reshape(DOWN, ACROSS)
        at[at >= len(some.pixels)] = -1
    lacking = (at < 0)[..., None, None, None]
    return np.where(lacking, np.uint8(255), some.pixels[at])
