"""Checkpoints with flipped bits, cut short, emptied, and beside foreign folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.campaign import commands, outputs, parts, processes
from tests.campaign.results import Results

FLIPS, AT_ONCE = 200, 50


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def cut_short(newest: Path, beyond: Path) -> None:
    """The largest file, to half of it."""
    del beyond
    largest = max(files(newest), key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def cut_all_short(newest: Path, beyond: Path) -> None:
    del beyond
    for path in files(newest):
        path.write_bytes(path.read_bytes()[:-1])


def emptied(newest: Path, beyond: Path) -> None:
    del beyond
    for path in files(newest):
        path.write_bytes(b"")


def without_arrays(newest: Path, beyond: Path) -> None:
    del beyond
    for path in files(newest):
        if path.parent.name == "d":
            path.unlink()


def without_metadata(newest: Path, beyond: Path) -> None:
    del beyond
    (newest / "default" / "_METADATA").unlink()


def without_item(newest: Path, beyond: Path) -> None:
    del beyond
    shutil.rmtree(newest / "default")


def empty_folder(newest: Path, beyond: Path) -> None:
    del newest
    beyond.mkdir()


def foreign_folder(newest: Path, beyond: Path) -> None:
    del newest
    beyond.mkdir()
    (beyond / "notes.txt").write_text("mine")


def foreign_item(newest: Path, beyond: Path) -> None:
    del newest
    (beyond / "default").mkdir(parents=True)
    (beyond / "default" / "notes.txt").write_text("mine")


DAMAGES: tuple[Callable[[Path, Path], None], ...] = (
    *(cut_short, cut_all_short, emptied, without_arrays, without_metadata),
    *(without_item, empty_folder, foreign_folder, foreign_item),
)


def run(results: Results, out: Path, trained: Path, seed: int) -> None:
    folder = out / "flips"
    for k in range(FLIPS // AT_ONCE):

        def flip(k=k):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(trained, folder)
            about = ("tests.campaign.flips", str(folder), str(AT_ONCE))
            ended = processes.run((*about, str(seed + k)))
            if ended.status:
                return {"faults": [ended.err[-2000:]]}
            return json.loads(ended.out.splitlines()[-1])

        results.once("b. flipped bits", str(k), flip)
    for damage in DAMAGES:

        def hurt(damage=damage):
            return _sampled_and_resumed(damage, out / damage.__name__, trained)

        results.once("b. damaged folders", damage.__name__, hurt)


def _sampled_and_resumed(damage, folder, trained) -> dict[str, Any]:
    """The newest whole one is used by both, and one line names it."""
    older, newest = commands.STEPS - commands.EVERY, commands.STEPS
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trained, folder)
    beyond = newest + commands.EVERY
    checkpoints = folder / outputs.MANAGED[0]
    damage(checkpoints / str(newest), checkpoints / str(beyond))
    foreign = (checkpoints / str(beyond)).exists()
    bad, used = (beyond, newest) if foreign else (newest, older)
    faults = []
    sampled = processes.run(commands.sample(folder, folder.with_suffix(".out"), 5))
    if f"samples from step {used}," not in sampled.out:
        faults.append(f"sampled: {sampled.out} {sampled.err[-2000:]}")
    trained_on = processes.run(commands.train(folder))
    if trained_on.status or f"at step {used}\n" not in trained_on.out:
        faults.append(f"resumed: {trained_on.out[:300]} {trained_on.err[-2000:]}")
    for ended in (sampled, trained_on):
        lines = [n for n in ended.err.splitlines() if not n.startswith("note:")]
        texts = (f"step {bad} cannot be used", f"step {used} is used")
        if len(lines) != 1 or not all(text in lines[0] for text in texts):
            faults.append(f"{len(lines)} lines: {ended.err[-2000:]}")
    faults += parts.differences(trained, folder)
    whole, resumed = parts.arrays(trained, folder)
    if whole != {k: v for k, v in resumed.items() if k in whole}:
        faults.append("other arrays than the uninterrupted run's")
    return {"faults": faults, "text": f"{damage.__name__}: {used} used"}
