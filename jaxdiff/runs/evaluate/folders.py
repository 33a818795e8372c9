"""Folders of samples read back, as pixels of one size: ours, or anybody's pictures."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxdiff.arrays import require
from jaxdiff.data import folder as picture_folder
from jaxdiff.data import images
from jaxdiff.data.source import Columns, Source
from jaxdiff.plots.pictures import to_uint8
from jaxdiff.plots.saving import squeeze
from jaxdiff.runs import shards


class Samples(NamedTuple):
    """folder: where they are
    pixels:  u8[n, h, w, c] of the source's shape
    labels:  i32[n], or None where they are not known
    resized: "14x14, enlarged by bicubic" for those of another size, else ""
    files:   n, the file of each image, in order
    """

    folder: Path
    pixels: np.ndarray
    labels: np.ndarray | None
    resized: str
    files: Sequence[Path]


def read(folder: Path, source: Source) -> Samples:
    """What launch.sample wrote, else every picture of a folder (data/folder.py).

    Values are rounded to 8 bits, and images of another size than the source's then
    brought to it with Pillow's BICUBIC. Class folders have the names of the source's
    classes, or their numbers.
    Errors: FileNotFoundError for no folder; ValueError that names the file for what is
            no image, for other channels, another aspect, or a label out of range.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} of samples")
    require(
        any(folder.iterdir()),
        f"{folder} is empty; give a folder that launch.sample wrote, or of pictures",
    )
    return (_saved if shards.list_files(folder) else _pictures)(folder, source)


def of_class(samples: Samples, label: int) -> Samples:
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


def check_finite(samples: Samples, features: np.ndarray) -> None:
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


def stream(folder: Path, source: Source) -> Iterator[Samples]:
    """What launch.sample wrote, a file in memory at a time. Errors: as `read`."""
    for path, arrays in shards.read(folder):
        pixels, labels, size = _checked(path, arrays, source)
        files = [path] * len(pixels)
        yield Samples(folder, pixels, labels, _resized({size}, source), files)


def read_columns(folder: Path, names: Iterable[str]) -> Columns:
    """The columns of a table that launch.sample wrote, in all files together."""
    parts = [arrays for _, arrays in shards.read(folder)]
    return {k: np.concatenate([part[k] for part in parts]) for k in names}


def _saved(folder, source):
    parts = [some[1:] for some in stream(folder, source)]
    pixels, labels, resized, files = zip(*parts, strict=True)
    known = None if labels[0] is None else np.concatenate(labels)
    files = [file for some in files for file in some]
    return Samples(folder, np.concatenate(pixels), known, max(resized), files)


def _checked(path, arrays, source):
    """Pixels, labels or None, and the size that they had, of one file."""
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
    pixels = to_uint8(values, peak)
    fitted = np.stack([fit(p, source.shape, path) for p in pixels])
    return fitted, labels, pixels.shape[1:3]


def _pictures(folder, source):
    files, labels, names = picture_folder.find(str(folder))
    if labels is not None:
        labels = _numbers(folder, names, source)[labels]
    sizes = set()

    def read_some(index):
        some = []
        for i in index:
            p = picture_folder.read_file(files[i], None, False, source.shape[-1])
            sizes.add(p.shape[:2])
            some.append(fit(p, source.shape, files[i]))
        return np.stack(some)

    pixels = images.fill(read_some, len(files), source.shape, f"decoding {folder}")
    return Samples(folder, pixels, labels, _resized(sizes, source), files)


def _numbers(folder, names, source):
    """Which class each class folder holds, i32[folders]."""
    known = {str(k): k for k in range(source.num_classes)}
    # a folder cannot be called "T-shirt/top"
    known |= {n.replace("/", "-"): k for k, n in enumerate(source.class_names)}
    unknown = [name for name in names if name not in known]
    require(
        not unknown,
        f"{folder} has the class folder {(unknown or [''])[0]!r}; the data's classes "
        f"are {', '.join(source.class_names[:20])}: use these names, or numbers from 0",
    )
    return np.array([known[name] for name in names], np.int32)


def fit(pixels: np.ndarray, shape: tuple[int, ...], file: Path) -> np.ndarray:
    """u8[h, w, c] brought to another size of the same aspect, with Pillow's BICUBIC.

    Errors: ValueError for another aspect, naming the file.
    """
    (h, w), (high, wide) = pixels.shape[:2], shape[:2]
    if (h, w) == (high, wide):
        return pixels
    require(
        h * wide == w * high,
        f"{file} is {w}x{h}, of another aspect than the data's {wide}x{high}; crop it",
    )
    image = Image.fromarray(squeeze(pixels))
    return images.to_array(image.resize((wide, high), Image.Resampling.BICUBIC))


def _resized(sizes, source):
    h, w = source.shape[:2]
    others = sorted(sizes - {(h, w)})
    if not others:
        return ""
    names = [f"{wide}x{high}" for high, wide in (others[0], others[-1])]
    larger, smaller = others[-1][0] > h, others[0][0] < h
    word = "resized" if larger and smaller else "reduced" if larger else "enlarged"
    return f"{' to '.join(dict.fromkeys(names))}, {word} by bicubic"
