"""Samples in files: one, or many that are written one by one and gone on with later.

Other numbers in plenty are kept the same way: `stem` is what their files are called.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.arrays import require

SAMPLES = "samples"


def plan(num: int, size: int, stem: str = SAMPLES) -> dict[str, np.ndarray]:
    """Name of each file -> the numbers of its samples, i64; the stem for one file."""
    starts = range(0, num, size)
    if len(starts) == 1:
        return {f"{stem}.npz": np.arange(num)}
    return {
        f"{stem}-{k:05d}.npz": np.arange(at, min(at + size, num))
        for k, at in enumerate(starts)
    }


def asked_of(out: Path, stem: str = SAMPLES) -> Path:
    """What was asked for, beside the files: who finds the same goes on with it."""
    return out / ("sampling.json" if stem == SAMPLES else f"{stem}.json")


def begin(
    out: Path,
    asked: dict[str, Any],
    force: bool,
    *,
    stem: str = SAMPLES,
    whole_too: bool = False,
) -> bool:
    """Whether to go on with what `out` has of the same request, not yet whole.

    asked: what the samples depend on, of which `num` and `shard`.
    whole_too: a whole one is gone on with as well: nothing is left to do.
    Errors: ValueError for a folder with anything else in it, unless `force`.
    """
    path = asked_of(out, stem)
    if force or not out.exists() or not any(out.iterdir()):
        return False
    stored = json.loads(path.read_text()) if path.is_file() else None
    want = json.loads(json.dumps(asked))
    names = plan(asked["num"], asked["shard"], stem)
    whole = all((out / name).is_file() for name in names)
    others = [k for k in want if stored and stored.get(k) != want[k]]
    told = f": it holds samples of another {others[0]}" if others else ""
    require(
        stored == want and (whole_too or not whole),
        f"--out {out} is not empty{told}; choose another folder, or --force to "
        "overwrite",
    )
    return True


def start(
    out: Path, asked: dict[str, Any], going_on: bool, stem: str = SAMPLES
) -> None:
    """Make `out` ready: what else was sampled there is deleted."""
    out.mkdir(parents=True, exist_ok=True)
    if not going_on:
        for path in found(out, stem):
            path.unlink()
        asked_of(out, stem).write_text(json.dumps(asked, indent=2) + "\n")


def write(path: Path, arrays: dict[str, Any]) -> None:
    """A file is there whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(part, path)


def found(out: Path, stem: str = SAMPLES) -> list[Path]:
    """The files of samples there are, in order."""
    digits = "[0-9]" * 5
    return sorted([*out.glob(f"{stem}.npz"), *out.glob(f"{stem}-{digits}.npz")])


def read(
    out: Path, stem: str = SAMPLES
) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """Every file and its arrays, one in memory at a time.

    Errors: ValueError, naming it, for a file that is damaged or not whole.
    """
    for path in found(out, stem):
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                arrays = dict(file)
        # numpy and zlib raise these for a file cut short
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} cannot be read: {error}; sample again") from error
        yield path, arrays
