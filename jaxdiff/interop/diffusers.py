"""Folders of diffusers: a UNet2DModel, an AutoencoderKL, or a pipeline of these.

model_index.json              of a DDPMPipeline, DDIMPipeline or LDMPipeline
unet/, vqvae/ or vae/         config.json, diffusion_pytorch_model.safetensors
scheduler/                    scheduler_config.json
jaxdiff.json                  the config of the run, in folders that were written here

A network alone is such a folder without the index; in some pipelines all files are in
one folder.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxdiff import files, schema, trust, upgrades
from jaxdiff.arrays import require
from jaxdiff.interop import tensors
from jaxdiff.interop.diffusers_json import (
    CONFIG,
    INDEX,
    RUN,
    SCHEDULER,
    WEIGHTS,
    coder_fields,
    normal,
    unet_fields,
)
from jaxdiff.interop.diffusers_names import renamed, table
from jaxdiff.interop.diffusers_read import Fields
from jaxdiff.interop.diffusers_schedules import SCHEDULERS, scheduler_fields
from jaxdiff.interop.diffusers_write import write
from jaxdiff.interop.mapping import Foreign

__all__ = ["first_stage", "make", "matches", "write"]

PIPELINES = ("DDPMPipeline", "DDIMPipeline", "LDMPipeline")
NETWORKS = ("UNet2DModel", "AutoencoderKL")
# Of a latent pipeline, the folder of the first stage.
STAGES = ("vqvae", "vae")
CURE = "download or copy the folder again, with all of its files"
# What a folder of a network alone does not determine: DDPM's choices.
ALONE = {"_class_name": "DDPMScheduler", **SCHEDULERS["DDPMScheduler"]}


def matches(path: Path) -> bool:
    """Whether a path is a folder with a pipeline or a network of diffusers."""
    there = [path / name for name in (INDEX, CONFIG) if (path / name).is_file()]
    return any("_class_name" in files.read_json(one) for one in there)


def first_stage(path: Path) -> Path | None:
    """The folder of the autoencoder of a latent pipeline; None for another path."""
    folders = [path / name for name in STAGES if (path / name).is_dir()]
    return folders[0] if folders and (path / INDEX).is_file() else None


def make(path: Path, given: Mapping[str, Any] | None) -> Foreign:
    """The model of a folder; of a latent pipeline the U-Net of its first stage's codes.

    given: the fields of a config, or None.
    Errors: FileNotFoundError; ValueError that names the file.
    """
    if (path / INDEX).is_file():
        _class_of(path / INDEX, PIPELINES)
    folder = path / "unet" if (path / "unet").is_dir() else path
    kind = _class_of(folder / CONFIG, NETWORKS)
    read = _coder if kind == "AutoencoderKL" else _unet
    fields, assumed, shape, classes = read(path, folder, given)
    stored = _stored(path)
    if stored:  # of several ways to write a field, the run's
        ways = normal(stored)
        fields = {k: stored[k] if ways[k] == v else v for k, v in fields.items()}
    side = {"data.size": shape[0], "data.channels": shape[-1]}
    assumed = {"data.name": "folder", **side, **assumed, **stored}
    assumed["data.checksum"] = ""
    return Foreign(fields, assumed, shape, classes, table, partial(_tensors, folder))


def _class_of(path: Path, known: tuple[str, ...]) -> str:
    kind = files.read_json(path).get("_class_name")
    require(kind in known, f"{path} is of a {kind}; {', '.join(known)} are read")
    return str(kind)


def _stored(path: Path) -> Fields:
    """The fields of the run that a folder was written of; none for other folders.

    Errors: ValueError also for a file that names code outside jaxdiff: the folder may
            be somebody else's, and choices are imported.
    """
    if not (path / RUN).is_file():
        return {}
    with files.named(path / RUN):
        config = upgrades.upgrade(files.read_json(path / RUN))
    names = ", ".join(f"{name} ({k})" for k, name in trust.foreign(config).items())
    require(
        not names,
        f"{path / RUN} names code outside jaxdiff, which is not imported: {names}; "
        "delete that file, and give a --config",
    )
    return schema.flat(config)


def _coder(path: Path, folder: Path, given: Any) -> tuple[Fields, Fields, Any, int]:
    del path, given
    with files.named(folder / CONFIG):
        fields, shape, _ = coder_fields(files.read_json(folder / CONFIG))
    # that of latent diffusion's first stages, which have a log-variance
    return fields, {"autoencoder.kl_weight": 1e-6}, shape, 0


def _unet(path: Path, folder: Path, given: Any) -> tuple[Fields, Fields, Any, int]:
    with files.named(folder / CONFIG):
        fields, shape, rows = unet_fields(files.read_json(folder / CONFIG))
    known = {**_stored(path), **(given or {})}
    inner = path / "scheduler" / SCHEDULER
    scheduler = inner if inner.is_file() else path / SCHEDULER
    spec = known.get("diffusion.schedule", "")
    require(
        scheduler.is_file() or not (path / INDEX).is_file(),
        f"{path} is a pipeline without its {inner}, which states the noise; {CURE}",
    )
    if scheduler.is_file():
        with files.named(scheduler):
            more, assumed = scheduler_fields(files.read_json(scheduler), spec)
        fields |= more
    else:
        more, assumed = scheduler_fields(ALONE, spec)
        assumed |= more
    dropout = known.get("diffusion.label_dropout", 0.0) if rows else 0.0
    fields["diffusion.condition"] = "label" if rows else "none"
    assumed["diffusion.label_dropout"] = dropout
    fields |= _codes(path, shape)
    return fields, assumed, shape, rows - (dropout > 0)


def _codes(path: Path, shape: tuple[int, ...]) -> Fields:
    """The fields of the data of a latent pipeline; none for another."""
    stage = first_stage(path)
    if not stage:
        return {}
    _class_of(stage / CONFIG, ("AutoencoderKL",))
    with files.named(stage / CONFIG):
        scale = coder_fields(files.read_json(stage / CONFIG))[2]
    fields: Fields = {"data.name": "latents", "data.standardise": scale != 1}
    if scale != 1:
        n = shape[-1]
        fields |= {"data.mean": (0.0,) * n, "data.std": (1 / scale,) * n}
    return fields


def _tensors(folder: Path) -> dict[str, Any]:
    """Those of a network's folder. Errors: as tensors.read."""
    path = folder / WEIGHTS
    others = sorted(folder.glob("diffusion_pytorch_model*.bin"))
    if others and not path.is_file():
        raise ValueError(
            f"{others[0]} is a pickle, which could run code; "
            f"{tensors.convert_line(others[0])}"
        )
    return renamed(tensors.read(path, CURE))
