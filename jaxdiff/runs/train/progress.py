"""How far a run's samples are from its data as training goes on.

Off unless config.train.evaluate_every says how often. What it costs is bounded by
config.train.num_evaluate samples and MOST_REAL real examples, which are looked at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import PyTree, require
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.plots import curves
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.evaluate.metrics import METRICS, Sides
from jaxdiff.runs.evaluate.reference import (
    REFERENCES,
    WHITE,
    features_of_real,
    real_pixels,
)
from jaxdiff.runs.experiment import images_of
from jaxdiff.runs.plot.spec import Kind, Scene
from jaxdiff.runs.sampler import even_labels, make_sampler, num_asked
from jaxdiff.tasks.task import Task

# Averaged parameters -> name -> value, for the line of metrics.jsonl.
Measure = Callable[[PyTree], dict[str, float]]

MOST_REAL = 10_000
# Of images and of tables: which metrics, and what is drawn of them.
OF_IMAGES, OF_TABLES = ("frechet", "kernel"), ("two_sample",)
DRAWN = {
    "frechet": "Frechet distance",
    "two_sample_accuracy": "told from real rows by a forest",
}


def make_measure(
    config: ConfigDict, source: Source, task: Task, workdir: Path
) -> Measure | None:
    """The same seeds and labels each time; None where nobody asks for it.

    Errors: ValueError, FileNotFoundError for what does not fit, before any work.
    """
    t = config.train
    if not t.evaluate_every:
        return None
    require(
        task.kind == "denoiser" and not config.diffusion.low_size,
        "train.evaluate_every is for models that make data by themselves: for no "
        "classifier, autoencoder or upsampler; set it to 0",
    )
    require(
        t.num_evaluate >= 2, f"train.num_evaluate must be >= 2, got {t.num_evaluate}"
    )
    require(
        t.evaluate_steps >= 0,
        f"train.evaluate_steps must be >= 0, got {t.evaluate_steps}",
    )
    index, quick = np.arange(t.num_evaluate), config.copy_and_resolve_references()
    quick.sampler.num_steps = t.evaluate_steps or config.sampler.num_steps
    sampler = make_sampler(quick, source, task)
    labels = even_labels(len(index), num_asked(config, source))
    true = images_of(config, source)
    sides = (_of_images if true.is_image else _of_rows)(config, true, workdir)
    names = OF_IMAGES if true.is_image else OF_TABLES

    def measure(params):
        x = sampler.draw(params, config.seed, index, labels)
        seen, found = sides(source, x), {}
        for name in names:
            found |= METRICS[name].compute(seen)
        return {k: v for k, v in found.items() if v is not None}

    return measure


def _of_images(config, true, workdir):
    name = config.train.judge
    require(name, f"train.evaluate_every needs train.judge: {judging.WANTED}")
    judge = judging.load_for("train.judge", Path(name), true)
    num, data = min(len(true), MOST_REAL), config.data.to_dict()

    def sides(source, x):
        made = judging.features(judge, real_pixels(source, x), WHITE)
        real, _ = features_of_real(judge, true, num, data, workdir / REFERENCES)
        return Sides(real, made, None, None, config.seed, judge.published)

    return sides


def _of_rows(config, true, workdir):
    real = true.decode(true[permutation(0, 0, len(true))[:MOST_REAL]]["x"])
    return lambda source, x: Sides(real, source.decode(x), None, None, config.seed)


def measured(rows: list[dict[str, Any]]) -> str:
    """Which of DRAWN rows of metrics.jsonl hold, or ""."""
    return next((name for name in DRAWN if any(name in row for row in rows)), "")


def save_progress(path: Path, rows: list[dict[str, Any]]) -> None:
    """What was `measured`, over the steps."""
    name = measured(rows)
    found = [(row["step"], row[name]) for row in rows if name in row]
    lines = {"averaged parameters": tuple(np.array(found).T)}
    curves.save_lines(path, lines, xlabel="optimiser step", ylabel=DRAWN[name])


def draw_progress(scene: Scene, path: Path) -> None:
    save_progress(path, scene.log)


def unmeasured(scene: Scene) -> str:
    """Why there is nothing to draw of a run, or ""."""
    if measured(scene.log):
        return ""
    return "is for a run that was measured as it trained (train.evaluate_every)"


KINDS = {
    "progress": Kind(draw_progress, (), trained=True, misfit=unmeasured),
}
