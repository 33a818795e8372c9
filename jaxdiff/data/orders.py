"""Which real examples, and in what order: for distances and for pictures."""

import numpy as np
from tqdm.auto import tqdm

from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source

# How many labels are read at once.
BATCH = 1024


def even_order(
    source: Source, num: int | None = None, seed: int = 0, label: int | None = None
) -> np.ndarray:
    """The indices of images in an order with even classes, i64[m]: `num`, or all.

    The seed draws which images. The first n, for any n, have the classes in the
    proportion of all m, like samples requested class by class. n images drawn without
    regard to class can be further from the data than generated ones.

    Args:   num: None takes all.  label: take only this class.
    Errors: ValueError if there are fewer than num, or num is less than 4.
    """
    index = permutation(seed, 0, len(source))
    # unless a label is given, only the chosen examples are read
    read = index[: num or len(index)] if label is None else index
    labels = np.zeros(len(read), np.int32)
    if source.num_classes:
        starts = tqdm(range(0, len(read), BATCH), "labels", delay=1.0)
        parts = [source[read[at : at + BATCH]]["cond"] for at in starts]
        labels = np.concatenate(parts)
    if label is not None:
        index, labels = index[labels == label], labels[labels == label][:num]
    if len(index) < 4:
        of = "" if label is None else f" of class {label}"
        raise ValueError(f"the data have {len(index)} images{of}: 4 or more are needed")
    if not 4 <= (num or len(index)) <= len(index):
        raise ValueError(
            f"num_real must be from 4 to the {len(index)} images that there are, got "
            f"{num or len(index)}"
        )
    index, place = index[:num], np.zeros(len(labels))
    for k in np.unique(labels):
        rows = np.flatnonzero(labels == k)
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return index[np.argsort(place, kind="stable")]


def evenly(num: int, most: int) -> np.ndarray:
    """Up to `most` of range(num), evenly spread from the first to the last, i64."""
    return np.linspace(0, num - 1, min(num, most)).round().astype(int)


def to_show(num: int, labels: np.ndarray | None, most: int) -> np.ndarray:
    """Which of `num` samples stand for all in a picture of `most`, i64.

    As many of each class, class by class; of some classes, evenly chosen, where there
    are more classes than places. Without labels, the first.
    """
    if labels is None or num <= most:
        return np.arange(min(num, most))
    classes = np.unique(labels)
    chosen = classes[evenly(len(classes), most)]
    each = most // len(chosen)
    return np.concatenate([np.flatnonzero(labels == k)[:each] for k in chosen])


def multiple(num: int, classes: int) -> int:
    """The most samples up to `num` that are as many of each class; one of each, where
    there are more classes; `num` without classes.
    """
    return max(num // classes, 1) * classes if classes else num


def classes_in_turn(labels: np.ndarray) -> np.ndarray:
    """Places in i[n]: the first of every class, then the second of every class, ..."""
    rank = [(labels[:i] == k).sum() for i, k in enumerate(labels)]
    return np.lexsort((labels, rank))


def pairs_of_classes(
    source: Source, seed: int, num: int
) -> tuple[np.ndarray, np.ndarray]:
    """Up to num pairs of images of different classes, f32[n, h, w, c] each.

    Drawn by the seed; any pairs where there are no labels.
    """
    order = permutation(seed, 1, len(source))[: 4 * num]
    first, second = np.array_split(order, 2)
    one, other = source[first[: len(second)]], source[second]
    differ = one["cond"] != other["cond"] if source.num_classes else slice(None)
    return one["x"][differ][:num], other["x"][differ][:num]
