"""scheduler_config.json of diffusers, and the fields of our configs that it means.

The file holds the table alpha_bar that a network was trained with, and how a pipeline
samples. Ours are schedules in continuous time; entry i of a table of T is (i + 1) / T.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import choose
from jaxdiff.diffusion import inputs, scalings, schedules
from jaxdiff.interop.diffusers_read import Fields, Json, Read

__all__ = ["SCHEDULERS", "alpha_bar", "scheduler_config", "scheduler_fields"]

COMMON: Json = {
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "clip_sample": True,
    "prediction_type": "epsilon",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "clip_sample_range": 1.0,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
# What a key means that a file lacks: the defaults of diffusers.
SCHEDULERS: dict[str, Json] = {
    "DDPMScheduler": {**COMMON, "variance_type": "fixed_small"},
    "DDIMScheduler": {**COMMON, "set_alpha_to_one": True},
}
# Keys of the first versions, which mean nothing with these values.
FORMER = {"predict_epsilon": True, "timestep_values": None, "tensor_format": "pt"}
PREDICTIONS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
# Of our ddpm: what they are there.
VARIANCES = {"small": "fixed_small", "large": "fixed_large", "learned": "learned_range"}
# Tables that a file of betas is compared with, without a config that names one.
NAMED = ("cosine", "vp_sde", "cosine_beta", "linear_beta", "scaled_linear_beta")
# Two tables are equal if log_snr is, by so much at every entry: float32 betas near 1
# resolve alpha_bar to about 1e-4.
CLOSE = 1e-3


def alpha_bar(spec: str, steps: int, scaling: str = "unscaled") -> np.ndarray:
    """alpha^2 f64[steps] of a schedule at the times of a table.

    Errors: ValueError if its alpha^2 + sigma^2 is not 1.
    """
    with jax.enable_x64():
        schedule = choose(scalings, scaling)(choose(schedules, spec)())
        t = jnp.asarray((np.arange(steps) + 1) / steps)
        bar = np.asarray(schedule.alpha(t), np.float64) ** 2
        total = bar + np.asarray(schedule.sigma(t), np.float64) ** 2
    fits = np.abs(total - 1).max() < 1e-6
    require(fits, f"a table needs alpha^2 + sigma^2 = 1, which {spec} has not")
    return bar


def scheduler_fields(
    stored: Mapping[str, Any], given: str = ""
) -> tuple[Fields, Fields]:
    """The fields of the model that a scheduler determines, and of the sampler.

    given: the schedule of a config, which a table of betas is compared with first.
    Errors: ValueError that lists every key without a counterpart.
    """
    kind = str(stored.get("_class_name"))
    known = ", ".join(SCHEDULERS)
    require(kind in SCHEDULERS, f"the scheduler is a {kind}; {known} are read")
    today = {k: v for k, v in stored.items() if k not in FORMER or FORMER[k] != v}
    c = Read(today, SCHEDULERS[kind])
    for key in ("thresholding", "rescale_betas_zero_snr", "steps_offset"):
        c.need(not c[key], key)
    c.need(not c["clip_sample"] or c["clip_sample_range"] == 1, "clip_sample_range")
    c.need(c["prediction_type"] in PREDICTIONS, "prediction_type")
    steps, spacing = c["num_train_timesteps"], c["timestep_spacing"]
    fields = {
        "diffusion.schedule": _schedule(c, given),
        "diffusion.prediction": PREDICTIONS.get(c["prediction_type"], ""),
        "diffusion.time_feature": _spec(inputs.index, num_steps=steps),
    }
    sampler = {
        "sampler.clip": c["clip_sample"],
        "sampler.grid": f"discrete(total={steps}, spacing={spacing!r})",
    }
    if kind == "DDIMScheduler":
        c.need(c["set_alpha_to_one"], "set_alpha_to_one")
        sampler |= {"sampler.solver": "ddim", "sampler.num_steps": min(50, steps)}
    else:
        c.need(c["variance_type"] in VARIANCES.values(), "variance_type")
        ours = {theirs: ours for ours, theirs in VARIANCES.items()}
        variance = ours.get(c["variance_type"], "small")
        sampler |= {"sampler.solver": f"ddpm(variance={variance!r})"}
        sampler |= {"sampler.num_steps": steps}
    c.check()
    return fields, sampler


def _schedule(c: Read, given: str) -> str:
    """The spec of the schedule of a file; "" if there is none, which is listed."""
    steps, kind = c["num_train_timesteps"], c["beta_schedule"]
    start, end = c["beta_start"], c["beta_end"]
    if c["trained_betas"] is not None:
        c.need(len(c["trained_betas"]) == steps, "num_train_timesteps")
        table = np.cumprod(1 - np.asarray(c["trained_betas"], np.float64))
        for spec in (*[given] * bool(given), *NAMED):
            if _close(alpha_bar(spec, len(table)), table):
                return spec
        c.refused.append(f"trained_betas, {len(table)} numbers of no schedule here")
        return ""
    if kind == "linear":  # ours are for 1000 steps
        ends = {"beta_start": start * steps / 1000, "beta_end": end * steps / 1000}
        return _spec(schedules.linear_beta, num_steps=steps, **ends)
    if kind == "scaled_linear":
        ends = {"beta_start": start, "beta_end": end}
        return _spec(schedules.scaled_linear_beta, num_steps=steps, **ends)
    c.need(kind == "squaredcos_cap_v2", "beta_schedule")
    return _spec(schedules.cosine_beta, num_steps=steps)


def _spec(maker: Any, **fields: Any) -> str:
    """A choice with its fields, but those that are its defaults."""
    defaults = {k: p.default for k, p in inspect.signature(maker).parameters.items()}
    given = [f"{k}={v!r}" for k, v in fields.items() if defaults[k] != v]
    return f"{maker.__name__}({', '.join(given)})" if given else maker.__name__


def _close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    def log_snr(bar: np.ndarray) -> np.ndarray:
        bar = np.clip(bar, 1e-12, 1 - 1e-12)
        return np.log(bar) - np.log1p(-bar)

    return bool(np.abs(log_snr(ours) - log_snr(theirs)).max() < CLOSE)


def scheduler_config(
    fields: Mapping[str, Any], table: np.ndarray, clip: bool, version: str
) -> Json:
    """The inverse of `scheduler_fields`, with the schedule's table as its betas.

    table: alpha_bar f64[T].  clip: x0 at every step, to the range of pixels
    """
    before = np.concatenate([[1.0], table[:-1]])
    learned = fields["diffusion.learned_variance"]
    kind = "DDPMScheduler" if learned else "DDIMScheduler"
    predictions = {ours: theirs for theirs, ours in PREDICTIONS.items()}
    return {
        "_class_name": kind,
        "_diffusers_version": version,
        **SCHEDULERS[kind],
        **({"variance_type": "learned_range"} if learned else {}),
        "num_train_timesteps": len(table),
        "trained_betas": np.float32(1 - table / before).tolist(),
        "prediction_type": predictions[fields["diffusion.prediction"]],
        "clip_sample": clip,
    }
