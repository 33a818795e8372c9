"""Runs read back: their parameters, to sample from, to guide by, to encode data."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import PyTree, require
from jaxdiff.data.latents import FirstStage
from jaxdiff.data.source import Source
from jaxdiff.diffusion.guidance import FORMS
from jaxdiff.runs import snapshots
from jaxdiff.runs import workdir as files
from jaxdiff.tasks.classifier import Classify
from jaxdiff.tasks.task import Task
from jaxdiff.train import checkpoint, state
from jaxdiff.train.ema import primary


class Trained(NamedTuple):
    """A run read back: everything needed to sample from it."""

    config: ConfigDict
    source: Source
    task: Task
    params: PyTree
    step: int


def load(workdir: Path, config: ConfigDict, source: Source | None = None) -> Trained:
    """The averaged parameters of the newest whole checkpoint of a run.

    The average is the run's own, or as wide as config.sampler.ema.
    source: of config.data, where it has been made already.
    """
    source = source or make_source(config)
    task = build.make_task(config, source)
    tx, _ = build.make_optimizer(config)
    folder = workdir / files.CHECKPOINTS
    if not folder.is_dir():
        raise FileNotFoundError(f"{workdir} has no checkpoint yet; train it first")
    widths, key = config.train.ema_widths, jax.random.key(config.seed)
    like = jax.eval_shape(
        lambda: state.init_state(task.init(key), tx, powers=len(widths))
    )
    with checkpoint.open_manager(folder, keep_last=config.train.keep_last) as manager:
        restored = checkpoint.restore(manager, like)
    if restored is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint; train the run first")
    if config.sampler.ema:
        params = snapshots.at_width(workdir, restored, widths, config.sampler.ema)
    else:
        params = primary(restored.ema)
    return Trained(config, source, task, params, int(restored.step))


def make_source(config: ConfigDict) -> Source:
    """build.make_source, with the first stage where the data are codes of one."""
    stage = None
    if config.data.name == "latents":
        stage = load_first_stage(Path(config.data.path))
    return build.make_source(config, stage)


def images_of(config: ConfigDict, source: Source) -> Source:
    """What samples are to be like: of codes the images that were encoded."""
    if config.data.name != "latents":
        return source
    return load_first_stage(Path(config.data.path)).source


def load_autoencoder(folder: Path) -> Trained:
    """The run whose codes are data.

    Errors: ValueError or FileNotFoundError for a run that is none.
    """
    try:
        trained = load(folder, files.load_config(folder))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"data.path: {error} (data.name=latents needs the run of an autoencoder)"
        ) from None
    require(
        trained.task.kind == "autoencoder",
        f"data.path: {folder} holds a {trained.task.kind}, no autoencoder",
    )
    return trained


def load_first_stage(folder: Path) -> FirstStage:
    """The autoencoder of a run, of its own data; codes are the means, without noise.

    Errors: as load_autoencoder's.
    """
    trained = load_autoencoder(folder)
    coder = trained.task.model(trained.params)
    return FirstStage(
        trained.source,
        lambda x: _encode(coder, x),
        lambda z: _decode(coder, z),
        _checksum(trained),
        folder / "latents",
    )


@jax.jit
def _encode(coder, x):
    return coder.encode(x)[0]


@jax.jit
def _decode(coder, z):
    return coder.decode(z)


def _checksum(trained: Trained) -> str:
    """16 hexadecimal digits: of parameters, architecture and data."""
    blocks = [trained.config[name].to_dict() for name in ("data", "model")]
    digest = hashlib.sha256(json.dumps(blocks, default=list).encode())
    for leaf in jax.tree.leaves(trained.params):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def load_weak(config: ConfigDict, source: Source) -> Trained:
    """The weaker model that config.sampler names, of the same data and noise.

    Errors: ValueError or FileNotFoundError for a run that is none or does not fit.
    """
    folder = Path(config.sampler.weak)
    stored = files.load_config(folder)
    check_alike(config, stored, "weak", ["diffusion.condition"])
    trained = load(folder, stored, source)
    require(
        trained.task.kind == "denoiser",
        f"sampler.weak: {folder} holds a {trained.task.kind}, no denoiser",
    )
    return trained


def check_alike(
    config: ConfigDict, stored: ConfigDict, field: str, also: Sequence[str] = ()
) -> None:
    """ValueError unless a run named by config.sampler is of the same data and noise."""
    names = ["data", *(f"diffusion.{k}" for k in ("schedule", "scaling", "noise"))]
    differing = files.differing(stored, config, within=[*names, *also])
    require(
        not differing,
        f"sampler.{field}: {config.sampler[field]} was trained otherwise: "
        f"{'; '.join(differing)}",
    )


def load_classifier(config: ConfigDict, source: Source) -> Classify:
    """The classifier that config.sampler names, of the same data and noise.

    Errors: ValueError or FileNotFoundError for a run that is none or does not fit.
    """
    folder = Path(config.sampler.classifier)
    stored = files.load_config(folder)
    check_alike(config, stored, "classifier")
    form = config.sampler.classifier_form
    require(
        form in FORMS,
        f"sampler.classifier_form must be one of {', '.join(FORMS)}, got {form!r}",
    )
    require(
        form != "mean" or config.sampler.solver.startswith("ddpm"),
        f"sampler.classifier_form=mean needs the solver ddpm, got "
        f"{config.sampler.solver}; use score",
    )
    require(
        not stored.diffusion.times.startswith("constant"),
        f"sampler.classifier: {folder} knows one noise level only (diffusion.times="
        f"{stored.diffusion.times}); it judges, and cannot guide",
    )
    trained = load(folder, stored, source)
    require(
        trained.task.kind == "classifier",
        f"sampler.classifier: {folder} holds a {trained.task.kind}, no classifier",
    )
    return trained.task.model(trained.params)
