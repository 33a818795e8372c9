"""The start of every config: the schema's defaults, and the variants of a config.

A config is `base.get_config()` and the few lines that differ (jaxdiff/schema.py holds
every field), and then `base.variant`. A variant is named after the config's file, as in
--config=configs/digits.py:smoke.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxdiff.schema import FIELDS, get_config

__all__ = ["SMALL", "SMALL_UNET", "get_config", "variant"]

# Networks that compile in seconds: one level with one block. The middle of a U-Net
# keeps its attention, with one head.
SMALL = {"model.channels": 8, "model.multipliers": (1,), "model.num_blocks": 1}
SMALL_UNET = {
    **SMALL,
    "model.attention": (),
    "model.num_heads": 1,
    "model.head_channels": 0,
}

# Fields of config.data that mean the same for synthetic images.
OF_IMAGES = ("low", "standardise", "mean", "std", "flip")


def variant(
    config: ConfigDict,
    name: str,
    /,
    *,
    synthetic: Mapping[str, Any],
    smoke: Mapping[str, Any],
) -> ConfigDict:
    """A variant of the config; for "" the config itself.

    "synthetic": the same model on synthetic data, to measure speed where the real data
    are not available. --config.data.name=synthetic gives the same.
    "smoke": two steps of a small model on synthetic data, seconds on a CPU.

    Args:   synthetic: fields of config.data, with the shape and classes of the data.
            smoke: fields of the config that make it small. With a data.name these data
            are used instead of synthetic ones.
    Errors: ValueError for another name.
    """
    if name not in ("", "smoke", "synthetic"):
        raise ValueError(
            f"no variant {name!r} of this config; there is 'smoke', and 'synthetic'"
        )
    if name == "synthetic" or (name == "smoke" and "data.name" not in smoke):
        kept = {field: config.data[field] for field in OF_IMAGES}
        config.data.update({**FIELDS["data"], **kept})
        config.data.update({"name": "synthetic", **synthetic})
    if name == "smoke":
        _shorten(config)
        config.update_from_flattened_dict(smoke)
    return config


def _shorten(config: ConfigDict) -> None:
    """Two steps, and at most four of each thing that the task makes in training."""
    if config.data.name == "synthetic":
        config.data.num_examples = 16
    config.auto = ()
    config.train.update(
        {
            "batch_size": 4,
            "num_steps": 2,
            "steps_per_call": 1,
            "accumulate": 1,
            "log_every": 1,
            "sample_every": 0,
            "checkpoint_every": 2,
        }
    )
    if config.task != "classifier":
        config.train.num_preview = 4
    if config.task == "diffusion":
        config.sampler.update({"num_steps": 2, "batch_size": 4})
