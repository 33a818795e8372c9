"""Pictures as uint8 arrays, and sources made from such arrays."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from jaxdiff.data import depth
from jaxdiff.data.decoders import Pixels, Standardised
from jaxdiff.data.fingerprints import of_arrays
from jaxdiff.data.source import Batch, Moments, Source

Maps = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def ranges(low: float, peak: float) -> Maps:
    """(encode, decode) between data units [0, peak] and model units [low, 1], both f32.

    Errors: ValueError unless low is finite and below 1.
    """
    if not (np.isfinite(low) and low < 1):
        raise ValueError(
            f"low must be below 1, the value of white, got {low=}; use -1.0 for "
            "[-1, 1] or 0.0 for [0, 1]"
        )
    pixels = Pixels(float(low), float(peak))
    return pixels.encode, pixels


def from_array(
    pixels: np.ndarray,
    labels: np.ndarray | None,
    class_names: Sequence[str],
    *,
    low: float,
    peak: float = 255.0,
) -> Source:
    """A source held in memory.

    Args: pixels: uint8[n, h, w, c] in [0, peak].  labels: i[n], or None.
          class_names: one per class; none without labels.
          low: value of black in model units.  peak: value of white in data units.
    """
    encode, decode = ranges(low, peak)
    labels = None if labels is None else labels.astype(np.int32)

    def load(index: np.ndarray) -> Batch:
        cond = None if labels is None else labels[index]
        return {"x": encode(pixels[index]), "cond": cond}

    return Source(
        load=load,
        size=len(pixels),
        shape=tuple(pixels.shape[1:]),
        decode=decode,
        num_classes=0 if labels is None else len(class_names),
        class_names=tuple(class_names),
        peak=peak,
        bounds=(low, 1.0),
        fingerprint=partial(of_arrays, pixels, labels),
    )


def standardise(
    source: Source, mean: Sequence[float] = (), std: Sequence[float] = ()
) -> Source:
    """The same images as x' = (v - mean) / std, where v is 0 for black and 1 for white.

    Codes (latents.py) have no black or white; v is then the code itself.

    Args:   mean, std: one number per channel. () measures them, which reads every image
            once. They become the `moments` of the result.
    Errors: ValueError if there is not one number per channel, if only one of the two is
            given, or if a deviation is not positive.
    """
    if bool(mean) != bool(std):
        raise ValueError(f"mean and std go together, got {mean=}, {std=}; give both")
    mean, std = (mean, std) if mean else moments(source)
    mean, std = tuple(map(float, mean)), tuple(map(float, std))
    c = source.shape[-1]
    if len(mean) != c or len(std) != c or not np.isfinite(mean).all():
        raise ValueError(
            f"mean and std need one number for each of the {c} channels, got {mean=}, "
            f"{std=}; use () to measure them"
        )
    if not (np.isfinite(std).all() and min(std) > 0):
        raise ValueError(
            f"std must be positive in every channel, got {std=}: a channel that never "
            "changes cannot be standardised"
        )
    black, white = _ends(source)
    # x = start + step x', both f32[c]
    start = (black + (white - black) * np.array(mean)).astype(np.float32)
    step = ((white - black) * np.array(std)).astype(np.float32)

    def load(index: np.ndarray) -> Batch:
        batch = source.load(index)
        return batch | {"x": (batch["x"] - start) / step}

    decode = Standardised(source.decode, start, step)
    low, high = (((end - start) / step).astype(np.float32) for end in (black, white))
    bounds = source.bounds and (low, high)
    moved = replace(source, load=load, decode=decode, bounds=bounds)
    others = source.holdout
    held = others and (lambda: standardise(others(), mean, std))
    return replace(moved, moments=(mean, std), holdout=held)


def moments(source: Source) -> Moments:
    """Mean and standard deviation of each channel over all pixels of all images.

    Black is 0 and white is 1; codes are taken as they are. The sums are float64, a
    batch at a time, with a progress bar if they take over a second.
    """
    black, white = _ends(source)
    total, squares = np.zeros((2, source.shape[-1]))
    starts = range(0, len(source), 256)
    for i in tqdm(starts, "mean and deviation", delay=1.0, leave=False):
        x = source[np.arange(i, min(i + 256, len(source)))]["x"]
        v = (x.astype(np.float64) - black) / (white - black)
        total += v.sum((0, 1, 2))
        squares += np.square(v).sum((0, 1, 2))
    count = len(source) * source.shape[0] * source.shape[1]
    mean = total / count
    # rounding may make the variance of a constant channel slightly negative
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return tuple(mean.tolist()), tuple(std.tolist())


def _ends(source: Source) -> tuple[np.float64, np.float64]:
    """Where 0 and 1 in the units of `moments` are in model units."""
    black, white = source.bounds or (0.0, 1.0)
    return np.float64(black), np.float64(white)


def check_labels(labels: Sequence[int], num_classes: int) -> None:
    """Check that `labels` are different classes out of range(num_classes).

    Errors: ValueError if they are not.
    """
    if labels and not num_classes:
        raise ValueError(
            f"labels={tuple(labels)}, but the data set has no labels; use labels=()"
        )
    bad = [k for k in labels if not 0 <= k < num_classes]
    if bad or len(set(labels)) < len(labels):
        raise ValueError(
            f"labels must be different numbers from 0 to {num_classes - 1}, got "
            f"labels={tuple(labels)}; use () for all classes"
        )


def keep_labels(
    all_labels: np.ndarray, labels: Sequence[int], class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Keep the examples of some classes; class i of the result is labels[i].

    Args:    all_labels: i[n].  labels: the classes to keep; () for all.
    Returns: indices i64[m] of the kept examples, their new labels i32[m], class names.
    Errors:  ValueError where no example is kept.
    """
    if not labels:
        return np.arange(len(all_labels)), all_labels.astype(np.int32), (*class_names,)
    new = np.full(len(class_names), -1, np.int32)
    new[list(labels)] = np.arange(len(labels))
    index = np.flatnonzero(new[all_labels] >= 0)
    if not len(index):
        raise ValueError(
            f"data.labels={tuple(labels)}: there is no example of that; the data have "
            f"the classes {', '.join(map(str, np.unique(all_labels)))}"
        )
    return index, new[all_labels[index]], tuple(class_names[k] for k in labels)


def target_size(size: int | Sequence[int]) -> tuple[int, int] | None:
    """The config field `size` as (height, width); None for 0: as stored.

    Errors: ValueError for another form.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if pair == (0, 0):
        return None
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(
            f"size must be 0 (as stored), a side or (height, width), got {size=}"
        )
    return pair


def fit(image: Image.Image, size: tuple[int, int] | None, crop: bool) -> Image.Image:
    """Resize to (height, width) with Pillow's LANCZOS, whose window avoids aliasing.

    Args: size: None leaves the image as it is.  crop: first cut the largest central
          part with the target's aspect; otherwise the picture is squeezed.
    """
    if size is None or (image.height, image.width) == size:
        return image
    h, w = size
    box = None
    if crop:
        scale = min(image.width / w, image.height / h)
        left = (image.width - w * scale) / 2
        top = (image.height - h * scale) / 2
        box = (left, top, left + w * scale, top + h * scale)
    return image.resize((w, h), Image.Resampling.LANCZOS, box)


def rescale(pixels: np.ndarray, shape: tuple[int, ...], file: Path) -> np.ndarray:
    """u8[h, w, c] to a shape of the same aspect, with Pillow's BICUBIC.

    Errors: ValueError for another aspect, naming the file that the picture is from.
    """
    (h, w), (high, wide) = pixels.shape[:2], shape[:2]
    if (h, w) == (high, wide):
        return pixels
    if h * wide != w * high:
        raise ValueError(
            f"{file} is {w}x{h}, of another aspect than the data's {wide}x{high}; "
            "crop it"
        )
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return to_array(image.resize((wide, high), Image.Resampling.BICUBIC))


def rescaled(sizes: Iterable[tuple[int, int]], shape: tuple[int, ...]) -> str:
    """What `rescale` did to pictures of these (height, width), in words.

    "14x14, enlarged by bicubic", or "" if all had the size of the shape.
    """
    h, w = shape[:2]
    others = sorted({*sizes} - {(h, w)})
    if not others:
        return ""
    names = [f"{wide}x{high}" for high, wide in (others[0], others[-1])]
    larger, smaller = others[-1][0] > h, others[0][0] < h
    word = "resized" if larger and smaller else "reduced" if larger else "enlarged"
    return f"{' to '.join(dict.fromkeys(names))}, {word} by bicubic"


def to_channels(image: Image.Image, channels: int) -> Image.Image:
    """Turn upright, fill transparent parts with white, make grey (1) or RGB (3).

    Errors: ValueError for more than 8 bits per channel, which Pillow would cut off.
    """
    if image.mode.startswith(("I", "F")) or depth.is_cut_off(image):
        raise ValueError(f"has Pillow mode {image.mode}, more than 8 bits a value")
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return convert(image, channels)


def convert(image: Image.Image, channels: int) -> Image.Image:
    """Grey (1) or RGB (3); without a copy if the picture is that already."""
    mode = {1: "L", 3: "RGB"}[channels]
    return image if image.mode == mode else image.convert(mode)


def to_array(image: Image.Image) -> np.ndarray:
    """uint8[h, w, c], with c = 1 for grey."""
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def fill(
    read: Callable[[np.ndarray], np.ndarray], n: int, shape: tuple[int, ...], desc: str
) -> np.ndarray:
    """All n pictures as uint8[n, *shape], read in threads, with a progress bar.

    Pillow releases Python's lock while it decodes, so threads help. The bar appears
    only if the work takes over a second.

    Args: read: i64[b] -> uint8[b, *shape].  desc: the text of the bar.
    """
    out = np.empty((n, *shape), np.uint8)
    chunks = [np.arange(i, min(i + 32, n)) for i in range(0, n, 32)]

    def put(index: np.ndarray) -> int:
        out[index] = read(index)
        return len(index)

    bar = tqdm(desc=desc, total=n, delay=1.0, unit="img", leave=False)
    with bar, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done in pool.map(put, chunks):
            bar.update(done)
    return out
