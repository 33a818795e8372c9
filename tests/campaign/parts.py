"""The parts of the campaign, in order, and the uninterrupted runs they compare with."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.campaign import commands, outputs, processes, signals
from tests.campaign.commands import Command
from tests.campaign.results import Results
from tests.campaign.signals import Chain, Whole

# Signals in a chain, and signals of each kind that are sent to training, the commands.
LENGTH = 5
TRAINING = {"SIGINT": 50, "SIGTERM": 50, "double": 10, "kill -9": 50}
COLD = 5
OTHERS = {"SIGINT": 10, "SIGTERM": 10, "kill -9": 10}


def run(results: Results, out: Path, seed: int, quick: bool) -> None:
    steps = 40 if quick else commands.STEPS
    train = uninterrupted(out, "train", lambda to: commands.train(to, steps))
    if quick:
        kinds = ("SIGINT", "kill -9", "double", "SIGTERM")
        _train(results, out, seed, train, steps, "few", [kinds])
        return
    for kind, many in TRAINING.items():
        chains = [(kind,) * LENGTH] * (many // LENGTH)
        _train(results, out, seed, train, steps, kind, chains)
        cold = [(kind,) * COLD]
        _train(results, out, seed, train, steps, f"{kind}, cold", cold)
    _others(results, out, seed, train.folder)
    from tests.campaign import damage, room, writers

    damage.run(results, out, train.folder, seed)
    room.run(results, out, train.folder)
    writers.run(results, out, train.folder)


def uninterrupted(out: Path, name: str, make: Any) -> Whole:
    """Run to the end twice, the second time with everything compiled; kept."""
    folder, about = out / "whole" / name, out / "whole" / f"{name}.json"
    if not about.exists():
        for _ in range(2):
            shutil.rmtree(folder, ignore_errors=True)
            ended = processes.run(make(folder))
            assert ended.status == 0, ended
        idle = processes.run(make(folder)).seconds
        about.write_text(json.dumps([ended.seconds, idle]))
    return Whole(folder, *json.loads(about.read_text()))


def samples(out: Path, trained: Path) -> Whole:
    return uninterrupted(out, "launch.sample", lambda to: commands.sample(trained, to))


def arrays(*folders: Path) -> list[dict[str, str]]:
    """Of checkpoints and snapshots, by a process that may use a device."""
    ended = processes.run(("tests.campaign.outputs", *map(str, folders)))
    assert ended.status == 0, ended
    read = json.loads(ended.out)
    return [read[str(folder)] for folder in folders]


def _train(results, out, seed, whole, steps, kind, chains):
    cold = kind.endswith("cold")
    for k, kinds in enumerate(chains):
        folder = out / "train" / f"{kind} {k}".replace(" ", "_")
        command, name = commands.train(folder, steps), f"{kind} {k}"

        def progress(folder):
            return outputs.newest(folder) / steps

        chain = Chain(name, command, folder, kinds, whole, progress, cold, True)

        def work(chain=chain, folder=folder):
            shutil.rmtree(folder, ignore_errors=True)
            row = signals.run(chain, seed)
            row["faults"] += differences(whole.folder, folder)
            one, two = arrays(whole.folder, folder)
            if one != two:
                row["faults"].append("other arrays than the uninterrupted run's")
            return row

        results.once(f"a. training, {kind}", str(k), work)


def differences(whole: Path, folder: Path) -> list[str]:
    one, two = outputs.files(whole), outputs.files(folder)
    changed = [k for k in sorted({*one, *two}) if one.get(k) != two.get(k)]
    text = f"{', '.join(changed[:3])} of {len(changed)} files differ from {whole}"
    return [f"{folder}: {text}"] if changed else []


def _others(results, out, seed, trained):
    features = uninterrupted(out, "features", commands.train_classifier).folder
    encoder = uninterrupted(out, "encoder", commands.train_encoder).folder
    _codes(results, out, seed, encoder)
    makers: dict[str, Any] = {
        "launch.sample": lambda to: commands.sample(trained, to),
        "launch.evaluate": lambda to: commands.evaluate(trained, features, to),
    }
    for name, make in makers.items():
        whole = uninterrupted(out, name, make)
        for kind, many in OTHERS.items():
            for k in range(many // LENGTH):
                folder = out / name / f"{kind} {k}".replace(" ", "_")
                kinds = (kind,) * LENGTH
                _interrupted(results, name, make(folder), folder, whole, seed, kinds, k)


def _interrupted(results, name, command: Command, folder, whole, seed, kinds, k):
    all_files = len(outputs.files(whole.folder))

    def progress(folder):
        return min(1.0, len(outputs.files(folder)) / all_files)

    about = f"{name} {kinds[0]} {k}"
    chain = Chain(about, command, folder, kinds, whole, progress)

    def work():
        shutil.rmtree(folder, ignore_errors=True)
        row = signals.run(chain, seed)
        row["faults"] += differences(whole.folder, folder)
        return row

    results.once(f"a. {name}", f"{kinds[0]} {k}", work)


def _codes(results, out, seed, encoder):
    """The cache of a first stage, which is made before the first step."""

    def make(folder):
        return commands.train_on_codes(folder / "run", folder / "encoder")

    def copied(folder):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(encoder, folder / "encoder")

    about = out / "whole" / "codes"
    if not (about / "run" / "samples" / "00000002.png").exists():
        copied(about)
        assert processes.run(make(about)).status == 0
    copied(out / "codes_timed")
    seconds = processes.run(make(out / "codes_timed")).seconds
    idle = processes.run(make(out / "codes_timed")).seconds
    whole = Whole(about, seconds, idle)
    for kind, many in OTHERS.items():
        for k in range(many // LENGTH):
            folder = out / "codes" / f"{kind} {k}".replace(" ", "_")
            kinds = (kind,) * LENGTH
            name = f"codes {kind} {k}"
            chain = Chain(name, make(folder), folder, kinds, whole, lambda _: 0.0)

            def work(chain=chain, folder=folder):
                copied(folder)
                row = signals.run(chain, seed)
                (one,) = (about / "encoder" / "latents").iterdir()
                (two,) = (folder / "encoder" / "latents").iterdir()
                same = [
                    (one / name).read_bytes() == (two / name).read_bytes()
                    for name in ("codes.npy", "labels.npy")
                ]
                if one.name != two.name or not all(same):
                    row["faults"].append("other codes than the uninterrupted")
                return row

            results.once("a. the latents cache", f"{kind} {k}", work)
