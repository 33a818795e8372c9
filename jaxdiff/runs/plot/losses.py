"""The losses of a run, or of several in one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff import schema, upgrades
from jaxdiff.notes import note
from jaxdiff.plots import losses
from jaxdiff.runs.plot import spec
from jaxdiff.runs.plot.spec import Experiment, Numbers, PlotRequest, PlotSpec, always
from jaxdiff.train import epochs
from jaxdiff.train.validation import lines_of

# Fields that are measured, or do not change the training.
IDLE = ("data.checksum", "data.mean", "data.std", "sampler.", *upgrades.PLACES)
MOST_FIELDS, MOST_RUNS = 3, 18


def draw_loss(request: PlotRequest, path: Path) -> Numbers:
    """The training loss of metrics.jsonl, and the validation loss if there is one.

    Of a single run also the mean of each epoch, and the two terms of a VAE's loss.
    """
    runs = [request.run, *request.others]
    names = names_of(runs) if len(runs) > 1 else [""]
    kinds = [loss_of(run) for run in runs]
    if len({*kinds}) > 1:
        note("the losses are of different kinds: compare how they fall, not values")
        names = [f"{n}: {kind}" for n, kind in zip(names, kinds, strict=True)]
    lines = {n: lines_of(run.log) for n, run in zip(names, runs, strict=True)}
    means = epochs.means(request.run.log, request.run.config.train.batch_size)
    means = [] if request.others else means
    print(*epochs.in_words(means), sep="\n", end="\n" * bool(means))
    points = [(epoch.last, epoch.loss) for epoch in means]
    name = kinds[0] if len({*kinds}) == 1 else "loss"
    losses.save_losses(path, lines, name=name, epochs=points)
    numbers = {label: _numbers(some) for label, some in lines.items()}
    first = numbers.pop(names[0])
    about = {"loss": kinds[0], **first.pop(losses.TRAINING), **first}
    about["epochs"] = [epoch._asdict() for epoch in means]
    if not request.others:
        return about
    beside = [
        {"workdir": str(run.workdir), "name": label, "loss": kind, **numbers[label]}
        for run, label, kind in zip(request.others, names[1:], kinds[1:], strict=True)
    ]
    return {"name": names[0], **about, "beside": beside}


def loss_of(run: Experiment) -> str:
    """What the loss of a run is, in words."""
    config = run.config
    d, a = config.diffusion, config.autoencoder
    bound = " + bound" if d.learned_variance and d.bound_weight else ""
    names = {
        "diffusion": f"{d.distance} of {d.prediction}, {d.weight} weight{bound}",
        "classifier": "cross-entropy, nats",
        "autoencoder": f"sum of {a.distance} / 2 + {a.kl_weight:g} KL",
    }
    return names[config.task]


def names_of(runs: Sequence[Experiment]) -> list[str]:
    """Different names of runs: up to MOST_FIELDS fields in which their configs differ,
    or those of their folders.
    """
    configs = [schema.flat(run.config) for run in runs]
    differ = [
        field
        for field in configs[0]
        if not field.startswith(IDLE)
        and any(config[field] != configs[0][field] for config in configs)
    ]
    names = [
        ", ".join(f"{field.rpartition('.')[2]}={config[field]}" for field in differ)
        for config in configs
    ]
    if not differ or len(differ) > MOST_FIELDS or len({*names}) < len(runs):
        return spec.names_of(runs)
    return names


def _numbers(lines: Any) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        k: {"step": s, "value": v} for k, (s, v) in lines.items()
    }
    if losses.VALIDATION in lines:
        steps, values = lines[losses.VALIDATION]
        best = int(np.argmin(values))
        of_best = {"best_step": steps[best], "best": values[best]}
        numbers[losses.VALIDATION] |= of_best
    return numbers


def _no_log(request: PlotRequest) -> str:
    without = [run for run in (request.run, *request.others) if not run.log]
    if not without:
        return ""
    return f"needs metrics.jsonl, and {without[0].workdir} has no line of it yet"


SPECS = {
    "loss": PlotSpec(
        draw_loss,
        task="",
        pairs=MOST_RUNS,
        needs=always(("log",)),
        takes=(),
        misfit=_no_log,
    )
}
