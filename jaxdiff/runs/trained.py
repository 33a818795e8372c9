"""Runs read back: their parameters, to sample from, guide or judge with."""

from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import PyTree, require
from jaxdiff.data.source import Source
from jaxdiff.runs import workdir as files
from jaxdiff.tasks.classifier import Classify
from jaxdiff.tasks.task import Task
from jaxdiff.train import checkpoint, state


class Trained(NamedTuple):
    """A run read back: everything needed to sample from it."""

    config: ConfigDict
    source: Source
    task: Task
    params: PyTree
    step: int


def load(workdir: Path, config: ConfigDict, source: Source | None = None) -> Trained:
    """The averaged parameters of the newest whole checkpoint of a run.

    source: of config.data, where it has been made already.
    """
    source = source or build.make_source(config)
    task = build.make_task(config, source)
    tx, _ = build.make_optimizer(config)
    folder = workdir / files.CHECKPOINTS
    if not folder.is_dir():
        raise FileNotFoundError(f"{workdir} has no checkpoint yet; train it first")
    like = jax.eval_shape(
        lambda: state.init_state(task.init(jax.random.key(config.seed)), tx)
    )
    with checkpoint.open_manager(folder, keep_last=config.train.keep_last) as manager:
        restored = checkpoint.restore(manager, like)
    if restored is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint; train the run first")
    return Trained(config, source, task, restored.ema, int(restored.step))


def load_classifier(config: ConfigDict, source: Source) -> Classify:
    """The classifier that config.sampler names, of the same data and noise.

    Errors: ValueError or FileNotFoundError for a run that is none or does not fit.
    """
    folder = Path(config.sampler.classifier)
    stored = files.load_config(folder)
    names = ["data", *(f"diffusion.{k}" for k in ("schedule", "scaling", "noise"))]
    differing = files.differing(stored, config, within=names)
    require(
        not differing,
        f"sampler.classifier: {folder} was trained otherwise: {'; '.join(differing)}",
    )
    ddpm = config.sampler.solver.startswith("ddpm")
    require(
        ddpm or config.sampler.classifier_form != "mean",
        f"sampler.classifier_form=mean needs the solver ddpm, got "
        f"{config.sampler.solver}; use score",
    )
    trained = load(folder, stored, source)
    require(
        trained.task.kind == "classifier",
        f"sampler.classifier: {folder} holds a {trained.task.kind}, no classifier",
    )
    return trained.task.model(trained.params)
