"""Data that are in memory already, or are read example by example, as a source.

Images are uint8 arrays (h, w, c) or (h, w), or Pillow's pictures, with or without a
class each. Rows are floats, or columns by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from jaxdiff.data import images, table
from jaxdiff.data.fingerprints import of_arrays
from jaxdiff.data.source import Source

# Images that are kept in memory, as those of folder.py.
MAX_BYTES = 4 * 2**30

SHAPES = (
    "uint8 images (n, h, w, c) or (n, h, w), floats (n, columns), (images, labels), "
    "{name: values}, a DataFrame, a datasets.Dataset, or an object with __len__ and "
    "__getitem__ that gives an image, (image, label) or {name: value}"
)


def as_source(data: Any, *, low: float = -1.0) -> Source:
    """The source of data in one of the forms that SHAPES lists.

    Args:   data: a Source stays itself. Among values by name, images are those with
            pictures, and labels those of integers, texts or bools beside them; without
            pictures the names are columns of a table.
            low: value of black in model units, of images.
    Errors: ValueError that states the form that was given.
    """
    if isinstance(data, Source):
        return data
    if _is_columns(data):
        return _of_columns({str(k): data[k] for k in data}, low)
    if isinstance(data, tuple) and len(data) == 2 and not np.isscalar(data[0]):
        return of_arrays_and_labels(*data, low=low)
    if hasattr(data, "features") and hasattr(data, "column_names"):
        return of_dataset(data, low=low)
    if hasattr(data, "__array__"):
        return of_arrays_and_labels(data, None, low=low)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and len(data):
        return _of_examples(data, low)
    raise ValueError(f"data must be {SHAPES}; got {type(data).__name__}")


def of_arrays_and_labels(
    values: Any,
    labels: Any = None,
    names: Sequence[str] = (),
    *,
    low: float = -1.0,
) -> Source:
    """A source of images u8[n, h, w, c] or u8[n, h, w], or of rows f[n, columns].

    Args:   labels: integers, texts or bools [n] or [n, 1], or None.
            names: of classes 0, 1, ...; by default the labels themselves, sorted.
    Errors: ValueError for other types, shapes and lengths, and for a class number
            without a name.
    """
    values = np.asarray(values)
    source = _of_values(values, low)
    if labels is None:
        return source
    labels = np.asarray(labels)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.dtype.kind == "S" and labels.ndim == 1:
        labels = np.array(table.plain("labels", labels))
    mixed = labels.dtype == object and not all(isinstance(v, str) for v in labels.flat)
    if labels.shape != (len(values),) or labels.dtype.kind not in "iubUO" or mixed:
        raise ValueError(
            f"labels must be {len(values)} integers or texts, one an example, got "
            f"{labels.dtype} {labels.shape}"
        )
    if names:
        classes, number = np.arange(len(names)), labels
        if labels.dtype.kind not in "iu" or not np.isin(labels, classes).all():
            raise ValueError(
                f"labels must be numbers from 0 to {len(names) - 1}, of the classes "
                f"{', '.join(names)}; got {np.setdiff1d(labels, classes)[:1]}"
            )
    else:
        classes, number = np.unique(labels, return_inverse=True)
        names = [str(name) for name in classes]
    number = number.reshape(-1).astype(np.int32)

    def load(index: np.ndarray) -> dict[str, Any]:
        return {**source.load(index), "cond": number[index]}

    return replace(
        source,
        load=load,
        num_classes=len(names),
        class_names=(*names,),
        fingerprint=lambda: of_arrays(values, number),
    )


def _of_values(values: np.ndarray, low: float) -> Source:
    n = len(values) if values.ndim else 0
    if values.dtype == np.uint8 and values.ndim in (3, 4) and values.size:
        pixels = values if values.ndim == 4 else values[..., None]
        return images.from_array(pixels, None, (), low=low)
    if values.dtype.kind == "f" and values.ndim == 2 and n:
        columns = {f"x{i}": column for i, column in enumerate(values.T)}
        return table.from_columns(columns, rounded=False)
    cure = _to_bytes(values) if values.ndim in (3, 4) else ""
    raise ValueError(
        f"data must be {SHAPES}; got {values.dtype} of shape {values.shape}"
        + (cure and f"; bring images to 0...255: {cure}")
    )


def _to_bytes(x: np.ndarray) -> str:
    """What makes uint8 images of x, by its type and range, as Python; "" if unknown."""
    if x.dtype == bool:
        return "255 * x.astype(np.uint8)"
    if x.dtype.kind not in "iuf" or x.dtype == np.uint8 or not x.size:
        return ""
    low, high = x.min(), x.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return "replace what is not finite first"
    scaled = "np.interp(x, (x.min(), x.max()), (0, 255))"
    if x.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled = "(255 * x)"
    elif x.dtype.kind == "f" and low >= -1 and high <= 1:
        scaled = "((x + 1) * 127.5)"
    elif low >= 0 and high <= 255:
        return (
            "x.astype(np.uint8)"
            if x.dtype.kind != "f"
            else "x.round().astype(np.uint8)"
        )
    elif low >= 0:
        scaled = "(255 * (x / x.max()))"
    return f"{scaled}.round().astype(np.uint8)"


def _is_columns(data: Any) -> bool:
    """A mapping, or a DataFrame, which is none but has columns by name."""
    return isinstance(data, Mapping) or (
        hasattr(data, "columns") and hasattr(data, "items")
    )


def is_pictured(values: np.ndarray) -> bool:
    """Whether these are images, or rows of floats, and no column of a table."""
    rows = values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind == "f"
    return values.ndim >= 3 or rows


def _of_columns(data: dict[str, Any], low: float) -> Source:
    """Images, or rows, and their labels if one of the values has them; else a table."""
    some = {name: np.asarray(v) for name, v in data.items()}
    pictures = [name for name, v in some.items() if is_pictured(v)]
    if not pictures:
        return table.from_columns({k: _flat(k, v) for k, v in some.items()})
    others = [name for name in data if name not in pictures]
    if len(pictures) > 1 or len(others) > 1:
        raise ValueError(
            "data must have one array of images or rows and at most one of labels, "
            f"got {', '.join(data)}; leave the others out"
        )
    labels = data[others[0]] if others else None
    return of_arrays_and_labels(data[pictures[0]], labels, low=low)


def _flat(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            f"column {name!r} must hold a value a row, got shape {values.shape}"
        )
    return values


def of_dataset(data: Any, *, low: float = -1.0) -> Source:
    """A datasets.Dataset: its feature of images and of classes; without images a table.

    Errors: ValueError for several features of images or of classes.
    """
    kinds = {name: type(f).__name__ for name, f in data.features.items()}
    pictures = [name for name, kind in kinds.items() if kind == "Image"]
    classes = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    if not pictures:
        columns = {name: data[name][:] for name in data.column_names}
        for name in classes:  # as texts
            names = data.features[name].names
            columns[name] = [names[k] for k in columns[name]]
        return table.from_columns(columns)
    if len(pictures) > 1 or len(classes) > 1:
        raise ValueError(
            f"a data set must have one feature of images and at most one of classes, "
            f"got {', '.join((*pictures, *classes))}; leave the others out: "
            "data.select_columns([...])"
        )
    names = data.features[classes[0]].names if classes else ()
    labels = np.asarray(data[classes[0]][:]) if classes else None
    only = data.select_columns(pictures)
    return of_arrays_and_labels(
        _stack(_pixels(only[i][pictures[0]], i) for i in _progress(len(data))),
        labels,
        names,
        low=low,
    )


def _of_examples(data: Any, low: float) -> Source:
    """An object with __len__ and __getitem__: each example is read once, now."""
    first = data[0]
    if isinstance(first, Mapping):
        rows = [data[i] for i in _progress(len(data))]
        for i, row in enumerate(rows):
            if not isinstance(row, Mapping) or {*row} != {*first}:
                raise ValueError(
                    f"example {i} must have {', '.join(map(str, first))}, as example "
                    f"0, got {', '.join(map(str, row))}"
                )
        columns: dict[str, Any] = {k: [row[k] for row in rows] for k in first}
        for name, value in first.items():
            if np.asarray(value).ndim >= 2:
                columns[name] = _stack(
                    _pixels(v, i) for i, v in enumerate(columns[name])
                )
        return _of_columns(columns, low)
    if isinstance(first, tuple):
        labels = []

        def pixels():
            for i in _progress(len(data)):
                example = data[i]
                if not isinstance(example, tuple) or len(example) != 2:
                    raise ValueError(f"example {i} must be (image, label)")
                picture, label = example
                labels.append(label)
                yield _pixels(picture, i)

        values = _stack(pixels())
        return of_arrays_and_labels(values, labels, low=low)
    values = [np.asarray(data[i]) for i in _progress(len(data))]
    if values[0].ndim == 1:
        return _of_values(np.stack(values), low)
    values = _stack(_pixels(v, i) for i, v in enumerate(values))
    return of_arrays_and_labels(values, low=low)


def _progress(n: int) -> Any:
    return tqdm(range(n), "reading the data", delay=1.0, leave=False)


def _pixels(picture: Any, i: int) -> np.ndarray:
    """u8[h, w, c]."""
    if isinstance(picture, Image.Image):
        grey = picture.mode in ("1", "L")
        picture = images.to_channels(picture, 1 if grey else 3)
    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise ValueError(
            f"example {i} must be a uint8 image (h, w, c), got {pixels.dtype} "
            f"{pixels.shape}"
        )
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _stack(pictures: Any) -> np.ndarray:
    """u8[n, h, w, c]. Errors: ValueError for other sizes, and if they are too many."""
    parts, size = [], 0
    for i, pixels in enumerate(pictures):
        size += pixels.nbytes
        if parts and pixels.shape != parts[0].shape:
            raise ValueError(
                f"images must have one shape: example {i} is {pixels.shape}, and "
                f"example 0 {parts[0].shape}; resize them"
            )
        if size > MAX_BYTES:
            raise ValueError(
                f"the images need more than {MAX_BYTES / 2**30:.0f} GiB of memory; "
                "give a jaxdiff.data.source.Source, which reads by index"
            )
        parts.append(pixels)
    return np.stack(parts)
