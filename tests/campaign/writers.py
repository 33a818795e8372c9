"""Two processes in every place that writes: the second is refused in one line."""

import shutil
import signal
import time
from pathlib import Path
from typing import Any

from jaxdiff.lock import OWNER
from tests.campaign import commands, parts, processes
from tests.campaign.commands import Command
from tests.campaign.results import Results

# A first process may have ended before it is stopped.
ATTEMPTS = 5


def run(results: Results, out: Path, trained: Path) -> None:
    features = parts.uninterrupted(out, "features", commands.train_classifier).folder
    encoder = parts.uninterrupted(out, "encoder", commands.train_encoder).folder
    base, codes = out / "writers", out / "writers" / "encoder"
    shutil.rmtree(codes, ignore_errors=True)
    shutil.copytree(encoder, codes)
    here = f"--workdir={trained}"
    drawn = parts.samples(out, trained).folder

    def to(name):
        return base / name, f"--out={base / name}"

    places: dict[str, tuple[Path, Command]] = {
        "train": (base / "train", commands.train(base / "train")),
        "sample": (base / "sample", commands.sample(trained, base / "sample")),
        "evaluate": (
            base / "evaluate",
            commands.evaluate(trained, features, base / "evaluate"),
        ),
    }
    for name, command in {
        "edit": ("launch.edit", "vary", here, "--data_index=0:4", "--strength=0.5"),
        "plot": ("launch.plot", "film", here),
        "compare": (
            *("launch.compare", str(drawn), str(base / "sample")),
            f"--features={features}",
        ),
        "fit_grid": ("launch.fit_grid", here, "--steps=2"),
    }.items():
        folder, flag = to(name)
        places[name] = (folder, (*command, flag))
    train_on = commands.train_on_codes(base / "on_codes", codes)
    places["latents cache"] = (codes / "latents", train_on)
    for name, (folder, command) in places.items():

        def two(name=name, folder=folder, command=command):
            row = _two(folder, command)
            whole = {"train": trained, "sample": drawn}.get(name)
            if whole:
                row["faults"] += parts.differences(whole, folder)
            return row

        results.once("d. two writers", name, two)


def _two(folder: Path, command: Command) -> dict[str, Any]:
    for _ in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        first = processes.start(command)
        while first.running() and not (folder / OWNER).exists():
            time.sleep(0.001)
        if first.send(signal.SIGSTOP) and (folder / OWNER).exists():
            break
        first.send(signal.SIGKILL)
        gone = first.wait()
    else:
        return {"faults": [f"the first was never seen at work: {gone}"]}
    faults = []
    second = processes.run(command)
    lines = [n for n in second.err.splitlines() if not n.startswith("note:")]
    text = f"is being written by process {first.pid} on "
    if second.status != 2 or len(lines) != 1 or text not in lines[0]:
        faults.append(f"the second: {second.status}, {second.err[-2000:]}")
    first.send(signal.SIGKILL)
    first.wait()
    third = processes.run(command)
    if third.status != 0:
        faults.append(f"after kill -9 of the first: {third.err[-2000:]}")
    return {"faults": faults}
