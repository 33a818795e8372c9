"""How model units become data units, as values that a run can store (record.py).

A table's decode is `layout.decode` of its Layout; that of images is one of these. Those
of pixels take arrays of numpy, and of JAX where a whole sampler is one program.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# f32, of numpy or JAX
Values = Any


class Pixels(NamedTuple):
    """x f32 -> (x - low) peak / (1 - low), clipped to [0, peak]; white is x = 1."""

    low: float
    peak: float

    @property
    def scale(self) -> np.float32:
        return np.float32((1 - self.low) / self.peak)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.astype(np.float32) * self.scale + np.float32(self.low)

    def __call__(self, x: Values) -> Values:
        shifted = x.astype(np.float32) - np.float32(self.low)
        return (shifted / self.scale).clip(0, self.peak)


class Standardised(NamedTuple):
    """x' -> decode(start + step x'), with start and step f32[c]."""

    decode: Callable[[Values], Values]
    start: np.ndarray
    step: np.ndarray

    def __call__(self, x: Values) -> Values:
        return self.decode(x.astype(np.float32) * self.step + self.start)


class Codes(NamedTuple):
    """Codes -> images in model units -> pixels. images: their Record, if known."""

    to_images: Callable[[np.ndarray], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray]
    images: Any = None

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return self.decode(self.to_images(z))
