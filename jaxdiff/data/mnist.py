"""MNIST, and data in its format (Fashion-MNIST, Kuzushiji-MNIST), from IDX files.

The format: a magic number, whose third byte is the type (8: uint8) and whose last is
the number of axes; the axes, as 32-bit integers, highest byte first; the values.
Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

import gzip
import hashlib
import math
import urllib.request
from pathlib import Path

import numpy as np

from jaxdiff.data import images
from jaxdiff.data.source import Source, of_files
from jaxdiff.files import whole

# Where the four files are downloaded from on request, and their MD5 sums.
URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
PREFIXES = {"train": "train", "test": "t10k"}
SECONDS = 60.0


def make(
    path: str,
    split: str = "train",
    labels: tuple[int, ...] = (),
    low: float = -1.0,
    download: bool = False,
    checksum: str = "",
) -> Source:
    """Digits as x f32[b, 28, 28, 1], with their labels.

    Args:   path: the folder of the IDX files, each as it is or with .gz.
            split: train or test.  labels: classes to keep, in order; () for all.
            low: value of black in model units.
            download: fetch files of MNIST that the folder lacks.
            checksum: of the two files; "" accepts any.
    Errors: FileNotFoundError for missing files; OSError for a failed download;
            ValueError for another split, damaged files, and another checksum.
    """
    if split not in PREFIXES:
        raise ValueError(f"data.split must be train or test, got {split!r}")
    root = Path(path).expanduser()
    if not path:
        raise ValueError("data.path is missing: the folder of MNIST's four IDX files")
    names = [name for name in FILES if name.startswith(PREFIXES[split])]
    files = [_find(root, name, download) for name in names]
    pixels, digit = (_read(f, axes) for f, axes in zip(files, (3, 1), strict=True))
    if len(pixels) != len(digit):
        raise ValueError(
            f"{files[0]} has {len(pixels)} images, {files[1]} {len(digit)}"
        )
    if not pixels.size:
        raise ValueError(f"{files[0]} has no pixels: {pixels.shape}; get it again")
    classes = tuple(map(str, range(max(10, int(digit.max()) + 1))))
    images.check_labels(labels, len(classes))
    index, kept, classes = images.keep_labels(digit, labels, classes)
    source = images.from_array(pixels[index][..., None], kept, classes, low=low)
    return of_files(source, files, root, checksum)


def _find(root: Path, name: str, download: bool) -> Path:
    """The file of that name, also without .gz."""
    plain = name.removesuffix(".gz")
    # others write "idx3" with a point
    for file in (plain, name, plain.replace("-idx", ".idx")):
        if (root / file).is_file():
            return root / file
    if not download:
        raise FileNotFoundError(
            f"data.path: {root} has no {name} (or {plain}); put MNIST's four IDX files "
            "there, or let them be downloaded: --config.data.download=True"
        )
    with urllib.request.urlopen(URL + name, timeout=SECONDS) as answer:
        content = answer.read()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != FILES[name]:
        raise OSError(f"{URL}{name} is another file than MNIST's; get it elsewhere")
    with whole(root / name) as part:
        part.write_bytes(content)
    return root / name


def _read(file: Path, axes: int) -> np.ndarray:
    """The values of an IDX file, uint8. Errors: ValueError that names it."""
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
    except (OSError, EOFError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    head = 4 * (1 + axes)
    magic, *shape = np.frombuffer(content[:head].ljust(head, b"\0"), ">u4").tolist()
    if magic != 0x800 + axes or len(content) != head + math.prod(shape):
        raise ValueError(
            f"{file} is no IDX file of {axes} axes, or it is cut short; get it again"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
