"""Runs as folders that diffusers opens with its from_pretrained.

What is written is read again, and must mean the fields of the run: nothing that
diffusers cannot express is written as something else.
"""

import math
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdiff import files
from jaxdiff.arrays import PyTree
from jaxdiff.interop import mapping, tensors
from jaxdiff.interop.diffusers_card import card
from jaxdiff.interop.diffusers_json import (
    CONFIG,
    INDEX,
    RUN,
    SCHEDULER,
    WEIGHTS,
    coder_config,
    coder_fields,
    normal,
    unet_config,
    unet_fields,
)
from jaxdiff.interop.diffusers_names import table
from jaxdiff.interop.diffusers_read import Fields, Json
from jaxdiff.interop.diffusers_schedules import (
    PREDICTIONS,
    alpha_bar,
    scheduler_config,
)
from jaxdiff.interop.trained import Trained
from jaxdiff.models.norms import Norm

__all__ = ["scaled", "write"]

# The version of diffusers whose files these are.
VERSION = "0.30.0"
FEATURE = "diffusion.time_feature"
# What a pipeline of noise assumes, by field.
NOISED: Fields = {
    "task": "diffusion",
    "model.name": "unet",
    "diffusion.low_size": 0,
    "diffusion.experts": 1,
    "diffusion.sigma_data": 0.0,
    "diffusion.noise": "normal",
}


def write(out: Path, run: Trained, *, licence: str = "unknown") -> None:
    """A pipeline of a denoiser, or an autoencoder alone, and a model card.

    Args:   out: a folder.  licence: of the model, for the card: an identifier of
            spdx.org in lower case, "mit".
    Errors: ValueError that lists every field that diffusers cannot express; OSError.
            Nothing is written then.
    """
    stage, todo = run.stage, {}
    if run.fields["task"] == "autoencoder":
        todo[""] = _coder(run, 1.0)
        kind = "AutoencoderKL"
    else:
        config, scheduler = _unet(run)
        todo["unet"] = config, run.params
        learned = run.fields["diffusion.learned_variance"]
        kind = "DDPMPipeline" if learned else "DDIMPipeline"
        if stage:
            kind, scale, params = "LDMPipeline", *scaled(run)
            todo["vqvae"] = _coder(stage._replace(params=params), scale)
    for name, (config, params) in todo.items():
        files.write_json(out / name / CONFIG, config)
        tensors.write(out / name / WEIGHTS, mapping.write(table(params), params))
    if run.fields["task"] != "autoencoder":
        files.write_json(out / "scheduler" / SCHEDULER, scheduler)
        names = {name: ["diffusers", todo[name][0]["_class_name"]] for name in todo}
        names["scheduler"] = ["diffusers", scheduler["_class_name"]]
        about = {"_class_name": kind, "_diffusers_version": VERSION}
        files.write_json(out / INDEX, about | names)
    if stage:
        files.write_json(out / "vqvae" / RUN, stage.config)
    files.write_json(out / RUN, run.config)
    files.write_text(out / "README.md", card(kind, run, licence))


def _unet(run: Trained) -> tuple[Json, Json]:
    """config.json and scheduler_config.json of a denoiser. Errors: see `write`."""
    fields, lacks = _normal(run)
    assumed = NOISED if run.stage else NOISED | mapping.PIXELS
    lacks += [_text(k, fields[k], v) for k, v in assumed.items() if fields[k] != v]
    prediction, feature = fields["diffusion.prediction"], fields[FEATURE]
    if prediction not in PREDICTIONS.values():
        lacks.append(_text("diffusion.prediction", prediction, *PREDICTIONS.values()))
    steps = re.fullmatch(r"index(?:\(num_steps=(\d+)\))?", feature)
    if not steps:
        lacks.append(_text(FEATURE, feature, "index"))
    table, spec = None, fields["diffusion.schedule"]
    try:
        length = int(steps[1] or 1000) if steps else 1000
        table = alpha_bar(spec, length, fields["diffusion.scaling"])
    except ValueError as error:
        lacks.append(f"diffusion.schedule={spec} ({error})")
    if not lacks:
        config = {"_class_name": "UNet2DModel", "_diffusers_version": VERSION}
        config |= unet_config(fields, run.shape, run.rows)
        lacks = _differing(fields, unet_fields(config)[0])
        if not lacks and table is not None:
            clip = fields["sampler.clip"] and not run.stage
            return config, scheduler_config(fields, table, clip, VERSION)
    raise _error(lacks)


def _coder(run: Trained, scale: float) -> tuple[Json, PyTree]:
    """config.json of an autoencoder, and its parameters. Errors: see `write`."""
    fields, lacks = _normal(run)
    lacks += [
        _text(k, fields[k], v) for k, v in mapping.PIXELS.items() if fields[k] != v
    ]
    if not fields["autoencoder.kl_weight"] > 0:
        lacks.append(
            f"autoencoder.kl_weight={fields['autoencoder.kl_weight']} (above 0)"
        )
    if fields["model.latent_size"]:
        lacks.append(_text("model.latent_size", fields["model.latent_size"], 0))
    config = {"_class_name": "AutoencoderKL", "_diffusers_version": VERSION}
    config |= coder_config(fields, run.shape, scale)
    if run.shape[0] != run.shape[1]:
        lacks.append(f"images of {run.shape[0]}x{run.shape[1]} pixels (square ones)")
    if run.params["encoder"].get("latent_conv"):
        config |= {"use_quant_conv": True, "use_post_quant_conv": True}
        fields["model.latent_conv"] = True
    lacks += [] if lacks else _differing(fields, coder_fields(config)[0])
    if lacks:
        raise _error(lacks)
    return config, run.params


def _normal(run: Trained) -> tuple[Fields, list[str]]:
    """Normal fields, with the number of groups of all norms, and what is in the way."""
    fields = normal(run.fields)
    norm = Norm(fields["model.norm_groups"])
    scales = (a for path, a in mapping.flat(run.params).items() if path[-5:] == "scale")
    groups = {norm.count(len(a)) for a in scales}
    if not groups:  # of another network, whose name is refused
        return fields, []
    fields["model.norm_groups"] = max(groups)
    numbers, one = ", ".join(map(str, sorted(groups))), math.gcd(*groups)
    text = f"model.norm_groups=0 ({one}), whose norms have {numbers} groups"
    return fields, [text] * (len(groups) > 1)


def _differing(fields: Fields, back: Fields) -> list[str]:
    """The fields that a folder would not give back."""
    return [_text(k, fields[k], v) for k, v in back.items() if fields[k] != v]


def _text(field: str, value: Any, *others: Any) -> str:
    return f"{field}={value} ({' or '.join(map(str, others))})"


def _error(lacks: list[str]) -> ValueError:
    return ValueError(
        f"diffusers cannot express {', '.join(lacks)}; the values in brackets can be"
    )


def scaled(run: Trained) -> tuple[float, PyTree]:
    """The factor by which the pipeline scales codes, and the parameters of its first
    stage.

    A model of codes is trained on (z - mean) / std. If that is no factor for all
    channels, the 1x1 convolutions at the latent become

    W z + b -> (W z + b - mean) / std   and   z -> W (std z + mean) + b

    and for the log-variance, which the former gives too, plus -2 log std.
    """
    assert run.stage, "only models of codes have a first stage"
    params = jax.tree.map(np.asarray, run.stage.params)
    if not run.fields["data.standardise"]:
        return 1.0, params
    mean = np.asarray(run.fields["data.mean"], np.float64)
    std = np.asarray(run.fields["data.std"], np.float64)
    if not mean.any() and np.all(std == std[0]):
        return 1 / float(std[0]), params
    k = len(mean)
    encoder, decoder = dict(params["encoder"]), dict(params["decoder"])
    into = encoder.get("latent_conv") or _identity(2 * k)
    out = decoder.get("latent_conv") or _identity(k)
    factor = np.concatenate([1 / std, np.ones(k)])
    shift = np.concatenate([-mean / std, -2 * np.log(std)])
    encoder["latent_conv"] = {
        "kernel": np.float32(into["kernel"] * factor),
        "bias": np.float32(into["bias"] * factor + shift),
    }
    decoder["latent_conv"] = {
        "kernel": np.float32(std[:, None] * out["kernel"]),
        "bias": np.float32(mean @ out["kernel"] + out["bias"]),
    }
    return 1.0, params | {"encoder": encoder, "decoder": decoder}


def _identity(size: int) -> dict[str, np.ndarray]:
    return {"kernel": np.eye(size), "bias": np.zeros(size)}
