"""Folders of samples read back, as pixels of one size: ours, or anybody's pictures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.data import folder as picture_folder
from jaxdiff.data import images, reading
from jaxdiff.data.folder import Pictures
from jaxdiff.data.source import Columns, Layout, Source
from jaxdiff.plots.pictures import to_uint8
from jaxdiff.runs import shards


def read(folder: Path, source: Source) -> Pictures:
    """What launch.sample wrote, else every picture of a folder (data/folder.py).

    Values are rounded to 8 bits, and images of another size than the source's then
    brought to it with Pillow's BICUBIC.
    Errors: FileNotFoundError for no folder; ValueError that names the file for what is
            no image, for other channels, another aspect, or a label out of range.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} of samples")
    require(
        any(folder.iterdir()),
        f"{folder} is empty; give a folder that launch.sample wrote, or of pictures",
    )
    if not shards.list_files(folder):
        return picture_folder.read_like(folder, source)
    _, pixels, labels, resized, files = zip(*stream(folder, source), strict=True)
    return Pictures(
        folder,
        np.concatenate(pixels),
        None if labels[0] is None else np.concatenate(labels),
        max(resized),
        [file for some in files for file in some],
    )


def of_class(samples: Pictures, label: int) -> Pictures:
    """Those of one class. Errors: ValueError for unknown labels, and for none left."""
    folder, pixels, labels, _, files = samples
    if labels is None:
        raise ValueError(
            f"--label {label}: the images in {folder} have no known classes; put them "
            "into class folders, or leave --label out"
        )
    rows = labels == label
    require(rows.any(), f"--label {label}: {folder} has no image of that class")
    files = [file for file, chosen in zip(files, rows, strict=True) if chosen]
    return samples._replace(pixels=pixels[rows], labels=labels[rows], files=files)


def check_finite(samples: Pictures, features: np.ndarray) -> None:
    """ValueError that names the file of the first image whose f32[d] is not finite."""
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if not len(bad):
        return
    file = samples.files[bad[0]]
    place = bad[0] - next(i for i, f in enumerate(samples.files) if f == file)
    raise ValueError(
        f"{file}: the features of image {place} of it are not finite ({len(bad)} of "
        f"{len(features)} images are like that); leave the file out, or check the "
        "parameters of the extractor's run"
    )


def stream(folder: Path, source: Source) -> Iterator[Pictures]:
    """What launch.sample wrote, a file in memory at a time. Errors: as `read`."""
    for path, arrays in shards.read(folder):
        pixels, labels = _checked(path, arrays, source)
        resized = images.rescaled({pixels.shape[1:3]}, source.shape)
        fitted = np.stack([images.rescale(p, source.shape, path) for p in pixels])
        yield Pictures(folder, fitted, labels, resized, [path] * len(pixels))


def read_columns(folder: Path, layout: Layout, num: int, shard: int) -> Columns:
    """The rows of a table that launch.sample wrote. Errors: as reading.of_arrays."""
    sizes = {folder / k: len(v) for k, v in shards.split(num, shard).items()}
    return reading.of_arrays(sizes, layout, "delete the file, or use --force")


def _checked(path, arrays, source):
    """Pixels and labels, or None, of one file."""
    values, labels = arrays.get("values", np.zeros(())), arrays.get("labels")
    c, peak = source.shape[-1], source.peak
    require(
        values.ndim == 4 and values.shape[-1] == c and len(values),
        f"{path}: 'values' must be images (n, h, w, {c}), got shape {values.shape}",
    )
    low, high = values.min(), values.max()
    require(
        0 <= low and high <= peak,  # false for NaN too
        f"{path}: 'values' must be from 0 to {peak:g}, as the data's are, got "
        f"{low:g} to {high:g}",
    )
    if labels is not None:
        require(
            labels.shape == values.shape[:1]
            and set(np.unique(labels)) <= set(range(source.num_classes)),
            f"{path}: 'labels' must be of the data's {source.num_classes} classes, one "
            "for each image; compare samples of the same data",
        )
        labels = labels.astype(np.int32)
    return to_uint8(values, peak), labels
