"""Which numbers a field of a config may have."""

import math

from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.schema import flat

# Steps and examples are counted in int32, seeds in int64.
COUNT, SEED = 2**31 - 1, 2**63 - 1
# XLA devices that a CPU machine is split into, at most.
DEVICES = 256

AT_LEAST_ONE = (
    *("batch_size", "num_steps", "steps_per_call", "accumulate"),
    *("log_every", "checkpoint_every", "keep_last", "num_preview"),
)
AT_LEAST_ZERO = (
    *("sample_every", "keep_every", "snapshot_every", "evaluate_every"),
    "evaluate_steps",
)
RANGES: dict[str, tuple[int | float, int | float]] = {
    "seed": (0, SEED),
    "data.rules": (1, 2),
    **{f"train.{name}": (1, COUNT) for name in AT_LEAST_ONE},
    **{f"train.{name}": (0, COUNT) for name in AT_LEAST_ZERO},
    "train.num_evaluate": (2, COUNT),
    "train.cpu_devices": (1, DEVICES),
    "diffusion.sigma_data": (0, math.inf),
    "sampler.num_steps": (1, COUNT),
    "sampler.batch_size": (1, COUNT),
    "sampler.known_steps": (0, COUNT),
    "sampler.resample": (1, COUNT),
    "sampler.quantile": (0, 1),
}
# Ends of the sampler's interval are sigma / alpha, which may be infinite.
MAY_BE_INFINITE = ("sampler.interval",)


def check(config: ConfigDict, *blocks: str) -> None:
    """ValueError for a number that is out of its range, or is not finite.

    blocks: to look at, by default all.
    """
    for field, value in flat(config).items():
        if blocks and field.partition(".")[0] not in blocks:
            continue
        low, high = RANGES.get(field, (-math.inf, math.inf))
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float):
                finite = math.isfinite(number) or field in MAY_BE_INFINITE
                require(
                    finite and low <= number <= high and number == number,
                    f"{field} must be {_words(low, high)}, got {value}",
                )


def _words(low: int | float, high: int | float) -> str:
    if high in (math.inf, COUNT):
        return "a finite number" if low == -math.inf else f"at least {low}"
    return f"from {low} to {high}"
