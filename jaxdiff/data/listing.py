"""Which pictures a folder holds, in which order, and what else is in it."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxdiff.notes import note

# Pillow's formats that are pictures; it also opens documents and films.
FORMATS = frozenset(
    (
        *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM"),
        *("QOI", "SGI", "TGA", "TIFF", "WEBP"),
    )
)
# The endings that older runs read (rules=1).
OLDER_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
# Files or classes that a line names, at most.
MOST_NAMED = 8


class Listing(NamedTuple):
    """files:    n pictures, sorted by class and name
    labels:   i32[n], or None without class folders
    names:    of the classes
    left_out: what else is there, without hidden files
    """

    files: list[Path]
    labels: np.ndarray | None
    names: tuple[str, ...]
    left_out: list[Path]

    def notes(self, path: str) -> tuple[str, ...]:
        """What is read, and what is not, a line each."""
        n, k = len(self.files), len(self.names)
        lines = [f"{path}: {n} picture{'s' * (n > 1)}"]
        if k:
            lines[0] += f" in {k} class{'es' * (k > 1)}: {few(self.names)}"
        if self.left_out:
            root = Path(path).expanduser()
            names = [file.relative_to(root).as_posix() for file in self.left_out]
            lines.append(
                f"{path}: left out {len(names)} that are of another format, too deep "
                f"in folders, or broken links: {few(names)}"
            )
        return tuple(lines)


def find(path: str, rules: int = 2) -> Listing:
    """The pictures of a folder, or of the class folders in it.

    Numbers in names are sorted as numbers.
    Args:   rules: 1 for an older run: OLDER_ENDINGS alone, sorted by character.
    Errors: FileNotFoundError if there is no such folder. ValueError if it holds no
            picture, pictures and class folders, or a class folder without a picture.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"path: there is no folder {path!r} (looked from {Path.cwd()}); give a "
            "folder of pictures, or of class folders"
        )
    endings = OLDER_ENDINGS if rules < 2 else known_endings()
    classes = [entry for entry in _entries(root, rules) if entry.is_dir()]
    pictures = {
        d: [
            p for p in _entries(d, rules) if p.suffix.lower() in endings and p.is_file()
        ]
        for d in (root, *classes)
    }
    flat, full = pictures[root], [d for d in classes if pictures[d]]
    known = ".png, .jpg, .tif and others that Pillow reads"
    if flat and full:
        raise ValueError(
            f"path: {path!r} holds pictures ({flat[0].name}) and class folders "
            f"({full[0].name}); move the pictures into a class folder"
        )
    if not flat and not full:
        raise ValueError(
            f"path: {path!r} and the folders in it hold no picture ({known}); give "
            "path/*.png or path/CLASS/*.png"
        )
    if not flat:
        _check_classes(classes, full, known)
    files = flat or [file for d in classes for file in pictures[d]]
    left_out = _left_out(root, {*files})
    if flat:
        return Listing(files, None, (), left_out)
    labels = np.repeat(np.arange(len(classes)), [len(pictures[d]) for d in classes])
    names = tuple(d.name for d in classes)
    return Listing(files, labels.astype(np.int32), names, left_out)


def known_endings() -> frozenset[str]:
    """The endings of FORMATS that this Pillow reads: it can be built without some."""
    Image.init()
    endings = Image.registered_extensions().items()
    return frozenset(e for e, f in endings if f in FORMATS and f in Image.OPEN)


def by_number(name: str) -> tuple[list[str | int], str]:
    """A key that sorts the numbers in names as numbers: 2 before 10."""
    parts = re.split("([0-9]+)", name)
    return [int(p) if i % 2 else p for i, p in enumerate(parts)], name


def _entries(folder: Path, rules: int) -> list[Path]:
    visible = [entry for entry in folder.iterdir() if entry.name[0] != "."]
    return sorted(visible, key=lambda p: p.name if rules < 2 else by_number(p.name))


def _left_out(root: Path, files: set[Path]) -> list[Path]:
    """Every other file in the folder and in those within it; hidden ones are none."""
    others = [p for p in root.rglob("*") if p not in files and not p.is_dir()]
    return sorted(
        p for p in others if not any(s[0] == "." for s in p.relative_to(root).parts)
    )


def _check_classes(classes: list[Path], full: list[Path], known: str) -> None:
    for folder in classes:
        if folder not in full:
            raise ValueError(
                f"path: class folder {str(folder)!r} holds no picture ({known}); fill "
                "or remove it"
            )
        if not folder.name.isprintable():
            raise ValueError(
                f"path: class folder {str(folder)!r} has a control character in its "
                "name; rename it"
            )


def find_and_note(path: str) -> Listing:
    """As `find`, with a line on standard error about what is left out."""
    listing = find(path)
    for line in listing.notes(path)[1:]:
        note(line)
    return listing


def first_frames(path: str, several: Collection[Path]) -> tuple[str, ...]:
    """A line about the pictures of `path` that have several frames, if there are."""
    if not several:
        return ()
    n, names = len(several), few([file.name for file in sorted(several)])
    have = "pictures have" if n > 1 else "picture has"
    return (f"{path}: {n} {have} several frames; the first is taken: {names}",)


def few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
