"""What every config starts from: the schema's defaults, and the variants of a config.

A config is `base.get_config()` and the few lines that differ (jaxdiff/schema.py holds
every field), then `base.variant`. Its variants are named after its file:
--config=configs/digits.py:smoke.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxdiff.schema import FIELDS, get_config

__all__ = ["SMALL", "SMALL_UNET", "get_config", "variant"]

# Networks that compile in seconds: one block of one level. The middle of a U-Net keeps
# its attention, of one head.
SMALL = {"model.channels": 8, "model.multipliers": (1,), "model.num_blocks": 1}
SMALL_UNET = {
    **SMALL,
    "model.attention": (),
    "model.num_heads": 1,
    "model.head_channels": 0,
}

# Fields of config.data that mean the same for made-up images.
OF_IMAGES = ("low", "standardise", "mean", "std", "flip")


def variant(
    config: ConfigDict,
    name: str,
    /,
    *,
    synthetic: Mapping[str, Any],
    smoke: Mapping[str, Any],
) -> ConfigDict:
    """The config itself for "", or another experiment by name.

    "synthetic": the same model on made-up data, for measuring speed where the real data
    are not; --config.data.name=synthetic asks for it too.
    "smoke": two steps of a small model on made-up data, seconds on a CPU.

    Args:   synthetic: fields of config.data, the real data's shape and classes.
            smoke: fields of the config that make it small; with a data.name, on these
            data instead of made-up ones.
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
    """Two steps, and of what this task makes as it trains no more than four."""
    if config.data.name == "synthetic":
        config.data.num_examples = 16
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
