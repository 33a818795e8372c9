"""Mean images: of a whole data set, and of its classes."""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxdiff.data.source import Batch, Source

# The most images that a mean is taken of, and how many are read at once.
MOST, CHUNK = 20_000, 256


def mean_image(source: Source) -> tuple[np.ndarray, int]:
    """The mean f32[h, w, c] of up to MOST images evenly spread over the data, in model
    units, and how many they are.
    """
    total, num = np.zeros(source.shape), 0
    for batch in _spread(source):
        total += batch["x"].sum(0, dtype=np.float64)
        num += len(batch["x"])
    return (total / num).astype(np.float32), num


def class_means(source: Source, classes: Sequence[int]) -> np.ndarray:
    """The mean f32[k, h, w, c] of the images of each class among the same; zeros for a
    class without one.
    """
    totals = np.zeros((len(classes), *source.shape))
    counts = np.zeros((len(classes), *[1] * len(source.shape)))
    for batch in _spread(source):
        labels = source.labels_of(batch)
        for i, k in enumerate(classes):
            totals[i] += batch["x"][labels == k].sum(0, dtype=np.float64)
            counts[i] += np.sum(labels == k)
    return (totals / np.maximum(counts, 1)).astype(np.float32)


def _spread(source: Source) -> Iterator[Batch]:
    index = np.arange(0, len(source), -(-len(source) // MOST))
    for part in np.array_split(index, -(-len(index) // CHUNK)):
        yield source[part]
