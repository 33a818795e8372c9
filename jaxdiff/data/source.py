"""What every data set looks like to the rest of the program.

A source is read by index, a whole batch at a time, and gives values in model units
(images about [-1, 1], table columns standardised). `decode` takes model units back to
the units of the data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxdiff.data.layout import Columns, Layout

__all__ = ["Batch", "Columns", "Source"]

Batch = dict[str, np.ndarray]


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
    layout:       tables only: which columns of x belong to which column of the table.
    """

    load: Callable[[np.ndarray], Batch]
    size: int
    shape: tuple[int, ...]
    decode: Callable[[np.ndarray], Any]
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    peak: float = 0.0
    layout: Layout | None = None

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: np.ndarray) -> Batch:
        return self.load(np.asarray(index))

    @property
    def is_image(self) -> bool:
        return self.peak > 0
