"""What every data set looks like to the rest of the program.

A source is read by index, a whole batch at a time, and gives values in model units
(images about [-1, 1], table columns standardised). `decode` takes model units back to
the units of the data.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxdiff.data.layout import Columns, Layout

__all__ = ["Batch", "Columns", "Moments", "Source", "as_pixels", "take"]

Batch = dict[str, np.ndarray]
Moments = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Source:
    """A data set of known size, read by index.

    load:         i64[b] -> {"x": f32[b, *shape] in model units, "label": i32[b]};
                  "label" is there exactly when num_classes > 0.
    size:         number of examples.
    shape:        of one x: (h, w, c) for images, (columns,) for tables.
    decode:       f32[b, *shape] -> data units: an array for images (f32[b, h, w, c],
                  clipped to [0, peak]), a dict of columns for tables.
    num_classes:  0 for data without labels.
    class_names:  one a class, for titles and legends.
    peak:         the data units' value for white (255, or 16 for the 8x8 digits);
                  0 for tables.
    bounds:       pixels only: model units of black and of white, one number for all
                  channels or f32[c]; None for tables and for codes of images.
    moments:      images standardised by channel (images.py): their mean and standard
                  deviation, c numbers each, where 0 is black and 1 is white; else ().
    checksum:     codes only: of the encoder (latents.py).
    layout:       tables only: which columns of x belong to which column of the table.
    """

    load: Callable[[np.ndarray], Batch]
    size: int
    shape: tuple[int, ...]
    decode: Callable[[np.ndarray], Any]
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    peak: float = 0.0
    bounds: tuple[float | np.ndarray, float | np.ndarray] | None = None
    moments: Moments | tuple[()] = ()
    checksum: str = ""
    layout: Layout | None = None

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: np.ndarray) -> Batch:
        return self.load(np.asarray(index))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Pixels in data units f32[b, h, w, c] -> model units: the way in of decode."""
        assert self.bounds is not None, "pixels have bounds"
        black, white = self.bounds
        v = np.asarray(values, np.float32) / np.float32(self.peak)
        return np.asarray(black + (white - black) * v, np.float32)

    @property
    def is_image(self) -> bool:
        return self.peak > 0


def take(source: Source, index: np.ndarray) -> Source:
    """The examples i64[n] of a source, in that order, in the same model units.

    Errors: ValueError for no examples, or for one that the source does not have.
    """
    index = np.asarray(index)
    if not len(index) or index.min() < 0 or index.max() >= len(source):
        raise ValueError(
            f"index must hold numbers from 0 to {len(source) - 1}, at least one, got "
            f"{index}"
        )
    return replace(source, load=lambda i: source.load(index[i]), size=len(index))


def as_pixels(source: Source) -> Source:
    """The same images, codes decoded; as model units 0 is black and 1 white."""
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
    )
