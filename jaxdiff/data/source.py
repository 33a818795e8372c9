"""The interface of a data set to the rest of the program.

A source is read by index, a whole batch at a time, and gives values in model units
(images about in [-1, 1], table columns standardised). `decode` takes them back to the
units of the data.
"""

import difflib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.data.layout import Columns, Layout
from jaxdiff.notes import note_once

__all__ = [
    "Batch",
    "Columns",
    "Moments",
    "Source",
    "as_pixels",
    "map_arrays",
    "note_unread",
    "of_files",
    "real_rows",
    "take",
]

# {"x": f32[b, *shape], "cond": a tree whose arrays lead with b, or None}
Batch = dict[str, Any]
Moments = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Source:
    """A data set of known size, read by index.

    load:         i64[b] -> {"x": f32[b, *shape] in model units, "cond": the condition}.
                  The condition is None, an array whose first axis is b, or a tree of
                  such arrays (dicts, tuples, NamedTuples, None). With num_classes > 0
                  it is the class label, i32[b].
    size:         number of examples, or what gives it once it is needed.
    shape:        of one x: (h, w, c) for images, (columns,) for tables.
    decode:       f32[b, *shape] -> data units: an array for images (f32[b, h, w, c],
                  clipped to [0, peak]), a dict of columns for tables.
    num_classes:  0 unless the condition is a class label.
    class_names:  one per class, for titles and legends.
    peak:         white in data units (255, or 16 for the 8x8 digits); 0 for tables.
    bounds:       of pixels: black and white in model units, one number for all channels
                  or f32[c]; None for tables and for codes of images.
    moments:      of images standardised by channel (images.py): their mean and standard
                  deviation, c numbers each, where 0 is black and 1 is white; else ().
    checksum:     of the files that the examples were read from, or of the encoder
                  whose codes they are (latents.py); "" if they cannot change.
    layout:       of tables: which columns of x belong to which column of the table.
    notes:        how the data were read and what of them was left out, a line each.
    null:         of a condition other than a label: the one that means "none", for one
                  example. For a label it is num_classes.
    example:      the first example as a batch of one, or as much of it as can be given
                  without reading any; None to read it.
    fingerprint:  gives what differs if any of the examples, or their order, differs,
                  whatever their units; None where that is not known.
    holdout:      gives the examples that are held out of training, in the same units;
                  None if there are none (holdout.py).
    """

    load: Callable[[np.ndarray], Batch]
    size: int | Callable[[], int]
    shape: tuple[int, ...]
    decode: Callable[[np.ndarray], Any]
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    peak: float = 0.0
    bounds: tuple[float | np.ndarray, float | np.ndarray] | None = None
    moments: Moments | tuple[()] = ()
    checksum: str = ""
    layout: Layout | None = None
    null: Any = None
    notes: tuple[str, ...] = ()
    example: Batch | None = None
    fingerprint: Callable[[], str] | None = None
    holdout: Callable[[], "Source"] | None = None

    def __len__(self) -> int:
        return self.size() if callable(self.size) else self.size

    def __getitem__(self, index: np.ndarray) -> Batch:
        return self.load(np.asarray(index))

    def encode(self, values: Any) -> Any:
        """Pixels f32[b, h, w, c] in data units -> model units; undoes decode. An array
        of numpy or JAX.
        """
        assert self.bounds is not None, "pixels have bounds"
        black, white = self.bounds
        v = values.astype(np.float32) / np.float32(self.peak)
        return (black + (white - black) * v).astype(np.float32)

    @property
    def level_width(self) -> np.ndarray:
        """Of a pixel's level in model units, f[] or f[c]; 0 for data without levels."""
        low, high = self.bounds or (0.0, 0.0)
        return np.asarray(np.subtract(high, low) / (self.peak or 1.0))

    @property
    def is_image(self) -> bool:
        return self.peak > 0

    @property
    def example_cond(self) -> Any:
        """The condition of the first example, as a batch of one."""
        return (self.example or self.load(np.arange(1)))["cond"]

    def class_of(self, label: str | int) -> int:
        """The number of a class, given as that number or as text.

        Text is looked up among the names first, which may be numbers themselves.
        Errors: ValueError if there is none, with the nearest name.
        """
        text, last = str(label), self.num_classes - 1
        if not self.num_classes:
            raise ValueError(f"there is no class {text!r}: the data have no labels")
        if isinstance(label, str) and text in self.class_names:
            return self.class_names.index(text)
        if text.isdecimal() and int(text) <= last:
            return int(text)
        near = difflib.get_close_matches(text, self.class_names, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ";"
        first = [f"{i} {name}" for i, name in enumerate(self.class_names[:20])]
        more = ", ..." if last >= 20 else ""
        raise ValueError(
            f"label must be from 0 to {last} or a class's name, got {text}{meant} "
            f"classes: {', '.join(first)}{more}"
        )

    def labels_of(self, batch: Batch) -> np.ndarray | None:
        """The class labels i32[b] of a batch; None if its condition is something else.

        This is for titles, legends and classifiers. Code that only passes a condition
        on takes it as it is.
        """
        return batch["cond"] if self.num_classes else None


def take(source: Source, index: np.ndarray) -> Source:
    """The examples i64[n] of a source, in that order and in the same model units.

    Errors: ValueError if there are none, or for one that the source does not have.
    """
    index = np.asarray(index)
    if not len(index) or index.min() < 0 or index.max() >= len(source):
        raise ValueError(
            f"index must hold numbers from 0 to {len(source) - 1}, at least one, got "
            f"{index}"
        )
    return replace(
        source,
        load=lambda i: source.load(index[i]),
        size=len(index),
        example=None,
        fingerprint=None,
        holdout=None,
    )


def of_files(
    source: Source, files: Sequence[Path], root: Path, checksum: str
) -> Source:
    """The source with the checksum of its files, of their bytes and names under root.

    Errors: ValueError if `checksum` differs from it and is not "".
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode())
        digest.update(file.read_bytes())
    actual = digest.hexdigest()[:16]
    if checksum not in ("", actual):
        raise ValueError(
            f"data.checksum={checksum}, but {root} has {actual} now: these are not the "
            "data that the run was trained on. Give them as they were (data.path), or "
            "train anew in another --workdir"
        )
    return replace(source, checksum=actual)


def as_pixels(source: Source) -> Source:
    """The same images, with black 0 and white 1 as model units; codes are decoded."""
    assert source.is_image, "tables have no pixels"

    def load(index: np.ndarray) -> Batch:
        batch = source.load(index)
        return {**batch, "x": source.decode(batch["x"]) / np.float32(source.peak)}

    return replace(
        source,
        load=load,
        shape=load(np.arange(1))["x"].shape[1:],
        decode=lambda x: np.clip(x * np.float32(source.peak), 0, source.peak),
        bounds=(0.0, 1.0),
        moments=(),
        checksum="",
        holdout=None,
    )


def note_unread(error: Exception) -> None:
    """The data of a run cannot be read, and need not be."""
    note_once(f"{error}. Samples need no data: data.json in the workdir decodes them")


def real_rows(source: Source, most: int | None = None) -> Any:
    """The first rows of a table in data units; None, with a note, if there are none."""
    try:
        return source.decode(source[np.arange(len(source))[:most]]["x"])
    except (OSError, ValueError) as error:
        note_unread(error)
        return None


def map_arrays(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """f of every array of a condition, with the matching arrays of trees like it.

    The order is that of `jax.tree`, which data cannot import: keys are sorted.
    """
    if isinstance(tree, dict):
        parts = {k: [t[k] for t in (tree, *rest)] for k in sorted(tree)}
        return {k: map_arrays(f, *part) for k, part in parts.items()}
    if isinstance(tree, tuple | list):
        parts = [map_arrays(f, *part) for part in zip(tree, *rest, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return None if tree is None else f(tree, *rest)
