"""A folder of pictures: path/*.png without labels, or path/CLASS/*.png with labels."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxdiff.data import images, listing
from jaxdiff.data.source import Source, of_files
from jaxdiff.notes import note

MAX_BYTES = 4 * 2**30
# Pictures whose sizes are read, at most.
MEASURED = 500
# What Pillow's decoders raise for broken bytes; IndexError for a later frame of a GIF.
BROKEN = (OSError, SyntaxError, ValueError, IndexError, Image.DecompressionBombError)


class Pictures(NamedTuple):
    """folder: where they are
    pixels:  u8[n, h, w, c]
    labels:  i32[n], or None where they are not known
    resized: what was done to other sizes, as images.rescaled puts it
    files:   n, the file of each picture, in order
    """

    folder: Path
    pixels: np.ndarray
    labels: np.ndarray | None
    resized: str
    files: Sequence[Path]


def make(
    path: str,
    size: int | tuple[int, int] = 0,
    crop: bool = True,
    channels: int = 3,
    low: float = -1.0,
    rules: int = 2,
    checksum: str = "",
) -> Source:
    """Every picture of a folder, decoded at once into one uint8 array.

    Args:   path: holds pictures, or one folder of pictures per class, sorted by name,
            in which numbers are sorted as numbers.
            size: side or (height, width) in pixels, by Pillow's antialiased LANCZOS; 0
            if all pictures have one size.
            crop: cut the centre to the target's aspect first; otherwise squeeze.
            channels: 3 for RGB, 1 for grey; transparent parts become white.
            low: model value of black; white is 1.
            rules: see listing.find.
            checksum: that of the files; "" accepts any.
    Errors: FileNotFoundError if there is no such folder. ValueError if it holds no
            pictures, some that cannot be decoded, pictures of different size (without
            `size`), or more than 4 GiB of them, or if the checksum differs.
    """
    goal = images.target_size(size)
    images.ranges(low, 255.0)
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels=}")
    listed = listing.find(path, rules)
    files, labels, names, _ = listed
    several: set[Path] = set()
    read = partial(read_file, goal=goal, crop=crop, channels=channels, several=several)
    pixels = _decode(path, files, read)
    source = images.from_array(pixels, labels, names, low=low)
    notes = (*listed.notes(path), *listing.first_frames(path, several))
    source = replace(source, notes=notes)
    return of_files(source, files, Path(path).expanduser(), checksum)


def _decode(
    path: str, files: Sequence[Path], read_one: Callable[[Path], np.ndarray]
) -> np.ndarray:
    """u8[n, h, w, c]. Errors: as `make`; all broken files are named at once."""
    broken: dict[Path, str] = {}

    def try_one(file: Path) -> np.ndarray | None:
        try:
            return read_one(file)
        except ValueError as error:
            broken[file] = str(error)
            return None

    def read(index: np.ndarray) -> np.ndarray:
        out = np.zeros((len(index), *shape), np.uint8)
        for k, i in enumerate(index):
            pixels = try_one(files[i])
            if pixels is None:
                continue
            if pixels.shape != shape:
                raise ValueError(
                    f"{files[i]} is {pixels.shape[1]}x{pixels.shape[0]}, but "
                    f"{first.name} is {shape[1]}x{shape[0]}; set size to bring all to "
                    "one size"
                )
            out[k] = pixels
        return out

    tried = ((file, try_one(file)) for file in files)
    good = ((file, pixels.shape) for file, pixels in tried if pixels is not None)
    first, shape = next(good, (files[0], (0, 0, 0)))
    need = len(files) * int(np.prod(shape))
    if need > MAX_BYTES:
        raise ValueError(
            f"path: the {len(files)} pictures of {path!r} take {need / 2**30:.1f} GiB "
            "at this size, more than 4; set a smaller size, or prepare them as a TFDS "
            "data set, which is read from disk"
        )
    pixels = images.fill(read, len(files), shape, f"decoding {path}")
    if broken:
        also = [file.name for file in sorted(broken)[1:]]
        others = f"; {len(also)} others are like it: {listing.few(also)}"
        raise ValueError(broken[min(broken)] + others * bool(also))
    return pixels


def read_like(path: Path, source: Source) -> Pictures:
    """Every picture of a folder, brought to the size of a source's images.

    Class folders have the names of the source's classes, or their numbers.
    Errors: as listing.find; ValueError that names the file for what is no picture or of
            another aspect, and the folder for an unknown class.
    """
    files, labels, names, _ = listing.find_and_note(str(path))
    if labels is not None:
        labels = _class_numbers(path, names, source)[labels]
    sizes, several = set(), set()

    def read(index: np.ndarray) -> np.ndarray:
        some = []
        for i in index:
            channels = source.shape[-1]
            pixels = read_file(files[i], None, False, channels, several)
            sizes.add(pixels.shape[:2])
            some.append(images.rescale(pixels, source.shape, files[i]))
        return np.stack(some)

    pixels = images.fill(read, len(files), source.shape, f"decoding {path}")
    for line in listing.first_frames(str(path), several):
        note(line)
    resized = images.rescaled(sizes, source.shape)
    return Pictures(path, pixels, labels, resized, files)


def typical_side(path: str, rules: int = 2) -> int:
    """The median of the shorter sides of up to MEASURED pictures, evenly spread.

    What cannot be opened is left out: `make` names it.
    Errors: as listing.find.
    """
    files, lengths = listing.find(path, rules).files, []
    for i in np.linspace(0, len(files) - 1, min(len(files), MEASURED)).astype(int):
        broken = contextlib.suppress(OSError, SyntaxError, Image.DecompressionBombError)
        with broken, Image.open(files[i]) as image:
            lengths.append(min(image.size))
    return int(np.median(lengths)) if lengths else 0


def _class_numbers(path: Path, names: Sequence[str], source: Source) -> np.ndarray:
    """Which class of the source each class folder holds, i32[folders]."""
    known = {str(k): k for k in range(source.num_classes)}
    # a folder cannot be called "T-shirt/top"
    known |= {n.replace("/", "-"): k for k, n in enumerate(source.class_names)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"{path} has the class folder {unknown[0]!r}; the data's classes are "
            f"{', '.join(source.class_names[:20])}: use these names, or numbers from 0"
        )
    return np.array([known[name] for name in names], np.int32)


def read_file(
    file: Path,
    goal: tuple[int, int] | None,
    crop: bool,
    channels: int,
    several: set[Path] | None = None,
) -> np.ndarray:
    """One picture as uint8[h, w, channels]; of several frames or pages the first.

    several: gets the file if it has several.
    Errors: ValueError that names the file if it is broken.
    """
    try:
        with Image.open(file) as image:
            if several is not None and getattr(image, "is_animated", False):
                several.add(file)
            fitted = images.fit(images.to_channels(image, channels), goal, crop)
    except BROKEN as error:
        raise ValueError(
            f"{file} cannot be used as a picture: {error}; replace or remove it"
        ) from error
    return images.to_array(fitted)


def read_all(
    paths: Sequence[str], shape: tuple[int, ...], resize: bool
) -> tuple[np.ndarray, list[Path]]:
    """Pictures, and all pictures of folders, as u8[n, *shape]; their n files.

    resize: bring other sizes to it, after cutting the centre to its aspect.
    Errors: FileNotFoundError for a path that does not exist; ValueError that names the
            file for what is no picture, and for one of another size.
    """
    files = []
    for text in paths:
        path = Path(text).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"--image: there is no file or folder {text!r}")
        files += listing.find_and_note(text).files if path.is_dir() else [path]
    goal, pixels = (shape[0], shape[1]) if resize else None, []
    several: set[Path] = set()
    for file in files:
        pixels.append(read_file(file, goal, True, shape[-1], several))
        check_size(str(file), pixels[-1], shape, "--resize brings it to that")
    for line in listing.first_frames("--image", several):
        note(line)
    return np.stack(pixels), files


def check_size(
    name: str, pixels: np.ndarray, shape: tuple[int, ...], cure: str
) -> None:
    """ValueError for a picture of another height or width than `shape`."""
    (h, w), (high, wide) = pixels.shape[:2], shape[:2]
    if (h, w) != (high, wide):
        raise ValueError(f"{name} is {w}x{h}, and {wide}x{high} is needed here; {cure}")
