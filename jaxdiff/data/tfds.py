"""TensorFlow Datasets of images, read by index from ArrayRecord without TensorFlow."""

import contextlib
import difflib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import constants, read_only_builder
from tensorflow_datasets.core.registered import DatasetNotFoundError
from tensorflow_datasets.core.utils import error_utils
from tensorflow_datasets.proto import tf_example_pb2
from tqdm.auto import tqdm

from jaxdiff.data import images
from jaxdiff.data.fingerprints import of_arrays
from jaxdiff.data.source import Batch, Source

# A smaller split is decoded once and kept; a larger one is read as it is needed.
MAX_BYTES = 512 * 2**20


def make(
    dataset: str,
    split: str = "train",
    data_dir: str = "",
    labels: tuple[int, ...] = (),
    size: int | tuple[int, int] = 0,
    crop: bool = True,
    low: float = -1.0,
) -> Source:
    """A prepared TFDS data set with a feature "image" and perhaps a "label".

    Args:   dataset: a TFDS name: "mnist", "imagenet_resized/64x64:0.1.0".
            split: in TFDS's split language: "train[:80%]+validation[:80%]".
            data_dir: where it was prepared; "" for the environment's TFDS_DATA_DIR, or
            TFDS's default ~/tensorflow_datasets.
            labels: classes to keep, in the order of the new classes; () for all.
            size: side or (height, width) in pixels, by Pillow's antialiased LANCZOS; 0
            as stored.
            crop: cut the centre to the target's aspect first; otherwise squeeze.
            low: model value of black; white is 1.
    Errors: FileNotFoundError if the data set is not there (nothing is downloaded or
            written). ValueError for a name, split or label that does not exist, files
            that are not ArrayRecord, or images of different size without `size`.
    """
    goal = images.target_size(size)
    encode, decode = images.ranges(low, 255.0)
    builder = _builder(dataset, data_dir)
    channels, shape = _image_shape(builder, goal)
    names = _class_names(builder)
    images.check_labels(labels, len(names))
    records = _open(builder, split)
    index, kept = np.arange(len(records)), None
    if names:
        index, kept, names = images.keep_labels(_labels(records), labels, names)
    if not len(index):
        raise ValueError(
            f"split={split!r} of {dataset} has no example with {labels=}; keep others"
        )

    def read(i: np.ndarray) -> np.ndarray:
        parts = [f["image"].bytes_list.value[0] for f in _features(records, i)]
        return np.stack([_decode(png, channels, goal, crop) for png in parts])

    def pixels(i: np.ndarray) -> np.ndarray:
        return _read(records, index[i], read)

    def load(i: np.ndarray) -> Batch:
        return {"x": encode(pixels(i)), "cond": None if kept is None else kept[i]}

    if len(index) * int(np.prod(shape)) <= MAX_BYTES:
        held = images.fill(pixels, len(index), shape, f"decoding {dataset} {split}")
        return images.from_array(held, kept, names, low=low)
    return Source(
        load,
        len(index),
        shape,
        decode,
        len(names),
        names,
        255.0,
        bounds=(low, 1.0),
        fingerprint=lambda: of_arrays(
            np.array([builder.info.full_name, split, str(labels)]),
            np.array([s.num_bytes for s in builder.info.splits.values()]),
            index,
        ),
    )


def _builder(dataset: str, data_dir: str) -> Any:
    """TFDS's reader of what is on disk; it runs no code of the data set.

    Errors: as `make`, and ValueError for features of another package.
    """
    given = data_dir or os.environ.get("TFDS_DATA_DIR", "")
    root = Path(given or constants.DATA_DIR).expanduser()
    try:
        # tfds.data_source would build the data set's class, which insists on the
        # newest version and creates folders; this reads any version and only reads.
        with error_utils.reraise_with_context(DatasetNotFoundError):
            folder = read_only_builder._find_builder_dir(dataset, data_dir=str(root))
        others = _foreign_classes(Path(folder) / "features.json") if folder else []
        if not others:
            return read_only_builder.builder_from_files(dataset, data_dir=str(root))
    except (DatasetNotFoundError, ValueError) as error:
        name = dataset.split("/")[0].split(":")[0]
        here = [d.name for d in root.iterdir() if d.is_dir()] if root.is_dir() else []
        known = tfds.list_builders(with_community_datasets=False)
        if name not in known and name not in here:
            near = difflib.get_close_matches(name, here + known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise ValueError(
                f"dataset: TFDS has no {dataset!r}{hint} prepared in {root}: "
                f"{', '.join(sorted(here)) or 'nothing'}"
            ) from error
        holds = f"(holds: {', '.join(sorted(here)) or 'nothing'})"
        if not root.is_dir():  # perhaps mistyped: no place to build in
            holds, root = "(no such folder)", Path(constants.DATA_DIR).expanduser()
        raise FileNotFoundError(
            f"dataset: {dataset!r} is not prepared in {given or root} {holds}; set "
            "data_dir or TFDS_DATA_DIR, or, where there is internet and TensorFlow: "
            f"tfds build {dataset} --file_format=array_record --data_dir={root}"
        ) from error
    except Exception as error:  # protobuf and TFDS raise many kinds for damaged files
        text = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{root / dataset.replace(':', '/')}: dataset_info.json or features.json "
            f"cannot be read ({text}): damaged; build or copy the data set again"
        ) from None
    raise ValueError(
        f"{folder}/features.json names code outside TFDS: {', '.join(others)}. It is "
        "not imported; choose a data set of TFDS's own features"
    )


def _foreign_classes(path: Path) -> list[str]:
    """The classes of features that are not TFDS's, whose modules TFDS would import."""
    names = []

    def note(values: dict[str, Any]) -> dict[str, Any]:
        keys = ("pythonClassName", "python_class_name", "type")
        names.extend(str(values[k]) for k in keys if "." in str(values.get(k)))
        return values

    with contextlib.suppress(ValueError):  # TFDS, which reads it next, reports those
        json.loads(path.read_bytes(), object_hook=note)
    return [n for n in names if not n.startswith("tensorflow_datasets.")]


def _image_shape(builder: Any, goal: Any) -> tuple[int, tuple[int, int, int]]:
    """The channels as stored, and (h, w, c) after the resize."""
    features, name = dict(builder.info.features.items()), builder.info.full_name
    feature = features.get("image")
    if not isinstance(feature, tfds.features.Image) or feature.np_dtype != np.uint8:
        raise ValueError(
            f"dataset: {name} has no 8-bit feature 'image'; it has: "
            f"{', '.join(features)}; choose a data set of images"
        )
    stored: Any = feature.shape
    h, w, c = stored
    if goal is None and (h is None or w is None):
        raise ValueError(
            f"size: the images of {name} differ in size; set size to bring all to one"
        )
    if c not in (1, 3):
        raise ValueError(f"dataset: {name} has {c} channels; only 1 and 3 are read")
    return c, (*(goal or (h, w)), c)


def _class_names(builder: Any) -> tuple[str, ...]:
    label = dict(builder.info.features.items()).get("label")
    return tuple(label.names) if isinstance(label, tfds.features.ClassLabel) else ()


def _open(builder: Any, split: str) -> Any:
    """The split's records as bytes, by index."""
    stored = sorted(f.value for f in builder.info.available_file_formats())
    if "array_record" not in stored:
        raise ValueError(
            f"dataset: {builder.data_dir} is stored as {', '.join(stored)}, which "
            f"cannot be read by index; prepare it with tfds build {builder.name} "
            "--file_format=array_record"
        )
    try:
        return builder.as_data_source(
            split=split,
            deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
            file_format="array_record",
        )
    except (ValueError, AssertionError, FileNotFoundError) as error:
        names = tuple(builder.info.splits)
        sizes = ", ".join(f"{k} ({builder.info.splits[k].num_examples})" for k in names)
        word = "".join(c if c.isalnum() or c == "_" else " " for c in split).split()
        near = difflib.get_close_matches(word[0] if word else "", names, 1, 0.0)
        raise ValueError(
            f"split={split!r} of {builder.info.full_name} cannot be read "
            f"({' '.join(str(error).split()).rstrip('.')}); did you mean {near[0]!r}? "
            f"It has: {sizes}"
        ) from error


def _features(records: Any, index: np.ndarray) -> list[Any]:
    """The feature maps of some records, with images not yet decoded."""
    raw = records.__getitems__(index.tolist())
    parse = tf_example_pb2.Example.FromString  # pyright: ignore
    return [parse(r).features.feature for r in raw]


def _read(
    records: Any, index: np.ndarray, read: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """read(index) of some records.

    Errors: ValueError that names the first shard with a record that cannot be read.
    """
    try:
        return read(index)
    except Exception as error:  # array_record, protobuf and Pillow raise many kinds
        first, worst, path = 0, error, records.dataset_info.data_dir
        for part in records.dataset_info.splits[records.split].file_instructions:
            all_of_it = part.examples_in_shard - part.skip
            count = all_of_it if part.take < 0 else part.take
            rows = index[(first <= index) & (index < first + count)]
            first += count
            try:
                _ = read(rows) if len(rows) else None
            except Exception as one:
                worst, path = one, part.filename
                break
        text = " ".join(str(worst).split())[:200]
        raise ValueError(
            f"{path} cannot be read ({text or type(worst).__name__}): it is damaged; "
            "build the data set again, or copy it again"
        ) from None


def _labels(records: Any) -> np.ndarray:
    """The labels of all records i64[n], in one pass that decodes no image."""

    def read(index: np.ndarray) -> np.ndarray:
        features = _features(records, index)
        return np.array([f["label"].int64_list.value[0] for f in features])

    n, step = len(records), 4096
    out = np.empty(n, np.int64)
    for i in tqdm(range(0, n, step), "reading labels", delay=1.0, leave=False):
        index = np.arange(i, min(i + step, n))
        out[index] = _read(records, index, read)
    return out


def _decode(
    png: bytes, channels: int, goal: tuple[int, int] | None, crop: bool
) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        # TFDS has checked the mode, and ignores a photo's rotation mark as this does.
        plain = images.convert(image, channels)
        return images.to_array(images.fit(plain, goal, crop))
