"""Samples in files: one file, or many that are written one by one, so that a command
that was stopped resumes.

Other arrays with a row for each example are kept the same way under another `stem`, the
beginning of their files' names.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff import files, upgrades
from jaxdiff.arrays import require
from jaxdiff.lock import is_empty

SAMPLES = "samples"

write = files.write_arrays  # one .npz file


def split(num: int, size: int, stem: str = SAMPLES) -> dict[str, np.ndarray]:
    """File name -> the numbers i64[n] of its samples, at most `size` in each file.

    From the 100,001st file on, names have more than five digits.
    """
    starts = range(0, num, size)
    if len(starts) == 1:
        return {f"{stem}.npz": np.arange(num)}
    return {
        f"{stem}-{k:05d}.npz": np.arange(at, min(at + size, num))
        for k, at in enumerate(starts)
    }


def resumes(
    out: Path,
    record: dict[str, Any],
    force: bool,
    *,
    stem: str = SAMPLES,
    keep_complete: bool = False,
    last: Sequence[str] = (),
) -> bool:
    """Whether `out` holds some files of the same record, which need not be made again.

    Args:   record: what the samples depend on, `num` and `shard` among it.
            keep_complete: resume also where no file is missing.
            last: files that are written after those of the samples.
    Errors: ValueError for a folder with anything else in it, unless `force`.
    """
    if force or is_empty(out):
        return False
    path = _record_path(out, stem)
    stored = files.read_json(path) if path.is_file() else {}
    if "sampler" in stored:  # of an older run it may lack fields of today
        with files.named(path):
            today = upgrades.upgrade({"sampler": stored["sampler"]}).sampler
        stored["sampler"] = json.loads(json.dumps(today.to_dict()))
    record = json.loads(json.dumps(record))
    for name in {*stored, *record}:
        of_runs = name == "checkpoint" or name.endswith("_run")
        if of_runs and not (stored.get(name) and record.get(name)):  # of an older run
            for some in (stored, record):
                some.pop(name, None)
    names = split(record["num"], record["shard"], stem)
    complete = all((out / name).is_file() for name in (*names, *last))
    changed = [k for k in record if stored and stored.get(k) != record[k]]
    what = changed[0].replace("_", " ") if changed else ""
    reason = what and f": it holds samples of another {what}"
    require(
        stored == record and (keep_complete or not complete),
        f"--out {out} is not empty{reason}; choose another folder, or --force to "
        "overwrite",
    )
    return True


def prepare_folder(
    out: Path, record: dict[str, Any], resume: bool, stem: str = SAMPLES
) -> None:
    """Make the folder and write its record; unless `resume`, delete other samples."""
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        for path in list_files(out, stem):
            path.unlink()
        files.write_json(_record_path(out, stem), record)


def list_files(out: Path, stem: str = SAMPLES) -> list[Path]:
    """The files of samples in a folder, in order."""
    numbers = {path: path.stem.removeprefix(f"{stem}-") for path in out.glob("*.npz")}
    many = [path for path, k in numbers.items() if k.isdecimal() and len(k) >= 5]
    many.sort(key=lambda path: int(numbers[path]))
    return [*out.glob(f"{stem}.npz"), *many]


def read(
    out: Path, stem: str = SAMPLES
) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """Every file and its arrays, one in memory at a time.

    Errors: ValueError that names a damaged file, and for files that are missing by the
            record beside them.
    """
    path = _record_path(out, stem)
    record = files.read_json(path) if path.is_file() else {}
    there = {file.name for file in list_files(out, stem)}
    if {"num", "shard"} <= record.keys():
        names = split(record["num"], record["shard"], stem)
        missing = [name for name in names if name not in there]
        require(
            not missing,
            f"{out}/{''.join(missing[:1])} is missing, one of {len(names)} files by "
            f"{path.name} there; finish them with the command that began them",
        )
    for path in list_files(out, stem):
        yield path, files.read_arrays(path, cure="sample again")


def _record_path(out: Path, stem: str) -> Path:
    return out / ("sampling.json" if stem == SAMPLES else f"{stem}.json")
