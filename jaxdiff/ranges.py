"""Which types and numbers a field of a config may have."""

import math

from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.schema import flat, get_config

# Steps and examples are counted in int32. Of a larger seed JAX takes the last 32 bits.
COUNT, SEED = 2**31 - 1, 2**32 - 1
# Synthetic examples, and images in one picture: all of them are held in memory.
EXAMPLES = 10_000_000
# Of synthetic data, and of a network that fits into a machine.
CLASSES, BLOCKS, WIDTH = 1_000_000, 1000, 2**20
# Steps of a sampler: a grid of 2^31 times would exhaust the memory.
STEPS = 100_000
# XLA devices that a CPU machine is split into, at most.
DEVICES = 256

AT_LEAST_ONE = (
    *("batch_size", "num_steps", "steps_per_call", "accumulate"),
    *("log_every", "checkpoint_every", "keep_last"),
)
AT_LEAST_ZERO = (
    *("sample_every", "keep_every", "snapshot_every", "evaluate_every"),
    *("evaluate_steps", "validate_every"),
)
RANGES: dict[str, tuple[int | float, int | float]] = {
    "seed": (0, SEED),
    "data.rules": (1, 2),
    **{f"train.{name}": (1, COUNT) for name in AT_LEAST_ONE},
    **{f"train.{name}": (0, COUNT) for name in AT_LEAST_ZERO},
    "data.num_classes": (0, CLASSES),
    "model.num_blocks": (0, BLOCKS),
    "model.decoder_blocks": (0, BLOCKS),
    "model.channels": (1, WIDTH),
    "model.hidden": (1, WIDTH),
    "data.num_examples": (2, EXAMPLES),
    "train.num_preview": (1, EXAMPLES),
    "train.num_evaluate": (2, EXAMPLES),
    "train.cpu_devices": (1, DEVICES),
    "diffusion.sigma_data": (0, math.inf),
    "diffusion.experts": (1, BLOCKS),
    "sampler.num_steps": (1, STEPS),
    "sampler.batch_size": (1, COUNT),
    "sampler.known_steps": (0, STEPS),
    "sampler.resample": (1, COUNT),
    "sampler.quantile": (0, 1),
}
TEXTS = ("auto", "data.columns", "data.categorical", "train.trackers")
# What the items of a tuple are.
ITEMS: dict[str, type] = {
    **dict.fromkeys(TEXTS, str),
    **dict.fromkeys(("data.labels", "data.shape", "model.attention"), int),
    **dict.fromkeys(("data.mean", "data.std", "model.multipliers"), float),
    **dict.fromkeys(("train.ema_widths", "sampler.interval"), float),
}
# Ends of the sampler's interval are sigma / alpha, which may be infinite.
MAY_BE_INFINITE = ("sampler.interval",)


def check(config: ConfigDict, *blocks: str) -> None:
    """ValueError for a value of another type than the field's, and for a number that is
    out of its range, or is not finite.

    blocks: to look at, by default all.
    """
    defaults = flat(get_config())
    for field, value in flat(config).items():
        if blocks and field.partition(".")[0] not in blocks:
            continue
        _check_type(field, value, type(defaults.get(field, value)))
        low, high = RANGES.get(field, (-math.inf, math.inf))
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(value, tuple):
                _check_type(f"each of {field}", item, ITEMS.get(field, type(item)))
            if isinstance(item, int | float):
                finite = math.isfinite(item) or field in MAY_BE_INFINITE
                require(
                    finite and low <= item <= high and item == item,
                    f"{field} must be {_words(item, low, high)}, got {value}",
                )


def _check_type(field, value, kind):
    """An int may stand for a float."""
    kinds = (float, int) if kind is float else kind
    fits = isinstance(value, kinds) and (kind is bool or not isinstance(value, bool))
    require(fits, f"{field} must be of type {kind.__name__}, got {value!r}")


def _words(item: int | float, low: int | float, high: int | float) -> str:
    if high in (math.inf, COUNT) or (item < low and DEVICES < high < SEED):
        return "a finite number" if low == -math.inf else f"at least {low}"
    return f"from {low} to {high}"
