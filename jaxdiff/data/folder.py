"""A folder of pictures: path/*.png without labels, or path/CLASS/*.png with labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxdiff.data import images
from jaxdiff.data.source import Source, of_files

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
MAX_BYTES = 4 * 2**30


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
    checksum: str = "",
) -> Source:
    """Every picture of a folder, decoded at once into one uint8 array.

    Args:   path: holds pictures, or one folder of pictures per class, sorted by name.
            size: side or (height, width) in pixels, by Pillow's antialiased LANCZOS; 0
            if all pictures have one size.
            crop: cut the centre to the target's aspect first; otherwise squeeze.
            channels: 3 for RGB, 1 for grey; transparent parts become white.
            low: model value of black; white is 1.
            checksum: that of the files; "" accepts any.
    Errors: FileNotFoundError if there is no such folder. ValueError if it holds no
            pictures, one that cannot be decoded, pictures of different size (without
            `size`), or more than 4 GiB of them, or if the checksum differs.
    """
    goal = images.target_size(size)
    images.ranges(low, 255.0)
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels=}")
    files, labels, names = find(path)

    def read(index: np.ndarray) -> np.ndarray:
        pixels = [read_file(files[i], goal, crop, channels) for i in index]
        for i, p in zip(index, pixels, strict=True):
            if p.shape != shape:
                raise ValueError(
                    f"{files[i]} is {p.shape[1]}x{p.shape[0]}, but {files[0].name} is "
                    f"{shape[1]}x{shape[0]}; set size to bring all to one size"
                )
        return np.stack(pixels)

    shape = read_file(files[0], goal, crop, channels).shape
    need = len(files) * int(np.prod(shape))
    if need > MAX_BYTES:
        raise ValueError(
            f"path: the {len(files)} pictures of {path!r} take {need / 2**30:.1f} GiB "
            "at this size, more than 4; set a smaller size, or prepare them as a TFDS "
            "data set, which is read from disk"
        )
    pixels = images.fill(read, len(files), shape, f"decoding {path}")
    source = images.from_array(pixels, labels, names, low=low)
    return of_files(source, files, Path(path).expanduser(), checksum)


def read_like(path: Path, source: Source) -> Pictures:
    """Every picture of a folder, brought to the size of a source's images.

    Class folders have the names of the source's classes, or their numbers.
    Errors: as `find`; ValueError that names the file for what is no picture or of
            another aspect, and the folder for an unknown class.
    """
    files, labels, names = find(str(path))
    if labels is not None:
        labels = _class_numbers(path, names, source)[labels]
    sizes = set()

    def read(index: np.ndarray) -> np.ndarray:
        some = []
        for i in index:
            pixels = read_file(files[i], None, False, source.shape[-1])
            sizes.add(pixels.shape[:2])
            some.append(images.rescale(pixels, source.shape, files[i]))
        return np.stack(some)

    pixels = images.fill(read, len(files), source.shape, f"decoding {path}")
    resized = images.rescaled(sizes, source.shape)
    return Pictures(path, pixels, labels, resized, files)


def find(path: str) -> tuple[list[Path], np.ndarray | None, tuple[str, ...]]:
    """The pictures sorted by class and name, labels i32[n] or None, class names."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"path: there is no folder {path!r} (looked from {Path.cwd()}); give a "
            "folder of pictures, or of class folders"
        )
    classes = sorted(d for d in root.iterdir() if d.is_dir() and d.name[0] != ".")
    flat = _pictures(root)
    if flat and not any(_pictures(d) for d in classes):
        return flat, None, ()
    if flat:
        raise ValueError(
            f"path: {path!r} holds pictures ({flat[0].name}) and class folders "
            f"({classes[0].name}); move the pictures into a class folder"
        )
    files, labels = [], []
    for k, folder in enumerate(classes):
        inside = _pictures(folder)
        if not inside and any(_pictures(d) for d in classes):
            raise ValueError(
                f"path: class folder {str(folder)!r} holds no picture "
                f"({', '.join(ENDINGS)}); fill or remove it"
            )
        files += inside
        labels += [k] * len(inside)
    if not files:
        raise ValueError(
            f"path: {path!r} and the folders in it hold no picture "
            f"({', '.join(ENDINGS)}); give path/*.png or path/CLASS/*.png"
        )
    return files, np.array(labels, np.int32), tuple(d.name for d in classes)


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
    file: Path, goal: tuple[int, int] | None, crop: bool, channels: int
) -> np.ndarray:
    """One picture as uint8[h, w, channels].

    Errors: ValueError that names the file if it is broken.
    """
    try:
        with Image.open(file) as image:
            image.load()
            fitted = images.fit(images.to_channels(image, channels), goal, crop)
    # Pillow's decoders raise all of these for broken bytes.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
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
        files += find(text)[0] if path.is_dir() else [path]
    goal, pixels = (shape[0], shape[1]) if resize else None, []
    for file in files:
        pixels.append(read_file(file, goal, True, shape[-1]))
        check_size(str(file), pixels[-1], shape, "--resize brings it to that")
    return np.stack(pixels), files


def check_size(
    name: str, pixels: np.ndarray, shape: tuple[int, ...], cure: str
) -> None:
    """ValueError for a picture of another height or width than `shape`."""
    (h, w), (high, wide) = pixels.shape[:2], shape[:2]
    if (h, w) != (high, wide):
        raise ValueError(f"{name} is {w}x{h}, and {wide}x{high} is needed here; {cure}")


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        f
        for f in folder.iterdir()
        if f.suffix.lower() in ENDINGS and f.name[0] != "." and f.is_file()
    )
