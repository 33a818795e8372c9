"""Full disks: small file systems in memory that hold one thing a command writes."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.campaign import commands, outputs, parts, processes
from tests.campaign.commands import Command
from tests.campaign.results import Results

# Seconds in which a command ends, or continues, after the disk is full.
AT_MOST = 10
PAGE = 4096


class Disk(NamedTuple):
    path: Path

    def fill(self, leave: int = 0) -> None:
        """Until nothing is left but so many bytes, in whole pages."""
        filler = self.path / ".filler"
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(PAGE)):
                pass
        with filler.open("rb+") as file:
            file.truncate(max(0, filler.stat().st_size // PAGE * PAGE - leave))

    def free(self) -> None:
        (self.path / ".filler").unlink(missing_ok=True)


@contextlib.contextmanager
def disk(path: Path, size: str = "4M") -> Iterator[Disk]:
    """Errors: CalledProcessError where nothing can be mounted."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
                   check=True, capture_output=True)  # fmt: skip
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)


class Place(NamedTuple):
    """A command whose files lie on a small disk, in part.

    place: what lies there, in its folder; "" for all of it.
    before: whether the disk is full before it starts, but for `leave` bytes; or is
            filled as it runs, once the file `until` is there.
    names: what the line must name.  ends: whether the command ends.
    """

    name: str
    command: Callable[[Path], Command]
    whole: Path
    place: str
    names: str
    leave: int = 0
    until: str = ""
    ends: bool = True
    ready: Callable[[Path], None] = lambda folder: None


def run(results: Results, out: Path, trained: Path) -> None:
    for place in places(out, trained):
        results.once("c. full disk", place.name, lambda p=place: _try(p, out / "room"))


def long(workdir: Path) -> Command:
    """A line of the log for each step, and all else at the end."""
    names = ("checkpoint_every", "sample_every", "snapshot_every")
    return commands.train(workdir, 3000, log_every=1, **dict.fromkeys(names, 3000))


def places(out: Path, trained: Path) -> list[Place]:
    features = parts.uninterrupted(out, "features", commands.train_classifier).folder
    encoder = parts.uninterrupted(out, "encoder", commands.train_encoder).folder
    samples = parts.samples(out, trained).folder
    whole = parts.uninterrupted(out, "long", long).folder

    def sample(folder):
        return commands.sample(trained, folder)

    def evaluate(folder):
        return commands.evaluate(trained, features, folder, bpd=False)

    def evaluated(folder):
        """All but the last file, and the samples on a disk of their own."""
        assert processes.run(evaluate(folder)).status == 0
        (folder / "evaluation.json").unlink()
        elsewhere = out / "room" / "elsewhere"
        shutil.rmtree(elsewhere, ignore_errors=True)
        shutil.move(folder / "samples", elsewhere)
        (folder / "samples").symlink_to(elsewhere)

    def train_on_codes(folder):
        return commands.train_on_codes(folder.with_suffix(".run"), folder)

    def encoded(folder):
        shutil.rmtree(folder.with_suffix(".run"), ignore_errors=True)
        shutil.copytree(encoder, folder, dirs_exist_ok=True)

    measured = parts.uninterrupted(out, "frechet", evaluate).folder
    train, late = commands.train, "metrics.jsonl"
    return [
        Place("config.json", train, trained, "", ".json"),
        Place("metrics.jsonl", long, whole, "", "metrics.jsonl", until=late),
        Place("TensorBoard", train, trained, "tensorboard", "tensorboard", ends=False),
        Place("TensorBoard later", long, whole, "tensorboard", "tensorboard", 8192,
              ends=False),
        Place("checkpoints", train, trained, "checkpoints", "disk", 160_000),
        Place("first checkpoint", train, trained, "checkpoints", "disk", 8192),
        Place("snapshots", train, trained, "snapshots", "disk", 60_000),
        Place("preview", train, trained, "samples", "00000040.png"),
        Place("second preview", train, trained, "samples", "00000080.png", 4096),
        Place("samples", sample, samples, "", "whole/", 60_000),
        Place("evaluation: samples", evaluate, measured, "", "samples", 8192),
        Place("evaluation.json", evaluate, measured, "", "evaluation.json", PAGE,
              ready=evaluated),
        Place("latents cache", train_on_codes, encoder, "latents", "latents/", 40_960,
              ready=encoded),
    ]  # fmt: skip


def _try(place: Place, out: Path) -> dict[str, Any]:
    folder, faults = out / place.name.replace(" ", "_"), []
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with disk(out / "disk") as small:
            if place.place:
                folder.mkdir(parents=True)
                (folder / place.place).symlink_to(small.path)
                if (place.whole / "snapshots").exists():  # where one trained that far
                    shutil.copy(place.whole / "config.json", folder)
            else:
                folder.parent.mkdir(exist_ok=True)
                folder = small.path / "whole"
            place.ready(folder)
            seconds, ended = _without_room(place, folder, small)
            lines = ended.err.splitlines()
            more = [n for n in lines if not n.startswith("note:")]
            lines = [n for n in lines if place.names in n]
            if place.ends == (ended.status == 0) or seconds > AT_MOST:
                faults.append(f"{ended.status} after {seconds:.1f} s: {ended.err}")
            if len(lines) != 1 or "No space left" not in lines[0]:
                faults.append(f"{len(lines)} lines name it: {ended.err[-2000:]}")
            if len(more) > place.ends:
                faults.append(f"more than a line: {ended.err[-2000:]}")
            small.free()
            again = processes.run(place.command(folder))
            if again.status:
                faults.append(f"with room it ends: {again.err[-2000:]}")
            faults += _different(place, folder)
    except subprocess.CalledProcessError as error:
        return {"faults": [], "text": f"nothing can be mounted: {error.stderr!r}"}
    status = ended.status if place.ends else "continues"
    return {"faults": faults, "text": f"{place.name}: {status}, {seconds:.1f} s"}


def _without_room(place, folder, small):
    """Seconds from the full disk to the end, where it ends, and how it ended."""
    if not place.until:
        small.fill(place.leave)
    process = processes.start(place.command(folder))
    began = time.monotonic()
    if place.until:
        path = folder / place.until
        while process.running() and not (path.exists() and path.stat().st_size > 2000):
            time.sleep(0.01)
        small.fill()
        began = time.monotonic()
    ended = process.wait(60)
    return time.monotonic() - began, ended


def _different(place, folder):
    if place.place == "latents":
        (kept,) = (folder / "latents").iterdir()
        return [] if (kept / "codes.npy").exists() else ["no codes"]
    one, two = outputs.files(place.whole), outputs.files(folder)
    changed = [k for k in one if one[k] != two.get(k) and k != "evaluation.json"]
    faults = [f"{name} differs from the uninterrupted" for name in changed]
    if (place.whole / "checkpoints").exists():
        whole, here = parts.arrays(place.whole, folder)
        faults += ["other arrays"] * (whole != here)
    return faults
