"""The loss of examples that training does not read, always with the same draws.

(1)  validation = mean over i < m of loss(params, key_i, example order[i])
(2)  key_i = fold_in(key(0), i), stratum_i = (u + i / m) mod 1, as equation 3 of rng.py
(3)  by noise: the mean of (1) over the pairs whose log-SNR is between two of EDGES

Times, noises and examples are the same at every step, and for every seed of a run, so
that a change of the value is a change of the parameters. It costs PAIRS forward passes.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import PyTree
from jaxdiff.rng import batch_keys
from jaxdiff.train import parallel
from jaxdiff.train.step import Context, Loss

# Pairs of an example and its draws: fewer examples are used with several draws each.
PAIRS = 1024
# Ends of the ranges of log-SNR: much noise, more noise than signal, less, little.
EDGES = (-math.inf, -4.0, 0.0, 4.0, math.inf)
# The values' names begin with this; those of equation 3 end with BY and the range.
NAME, BY = "validation_", "_log_snr_"
RANGES = [
    f"{'below' if math.isinf(low) else f'{low:g}_to'}_{high:g}"
    for low, high in pairwise(EDGES[:-1])
] + [f"above_{EDGES[-2]:g}"]
# The terms of a variational autoencoder's loss, as it logs them.
TERMS = {"reconstruction": "reconstruction", "kl": "KL to N(0, I)"}

Validate = Callable[[PyTree], dict[str, float]]


def make_validate(
    loss: Loss,
    load: Callable[[np.ndarray], Any],
    order: np.ndarray,
    batch_size: int,
    frozen: PyTree = None,
) -> Validate:
    """averaged parameters -> {"validation_loss": its mean, and of each metric}.

    Args:    loss: of a task. Its metric `log_snr`, where it has one, gives equation 3.
             load: i64[b] -> a batch.  order: i64[m], the example of each pair.
             batch_size: pairs at once, over all devices of this process; it need not
             divide m.  frozen: see Context.
    Errors:  the function raises FloatingPointError for a loss that is not finite.
    """
    devices, total = jax.local_devices(), len(order)
    size = -(-min(batch_size, total) // len(devices)) * len(devices)

    def values_of(params, frozen, index, batch):
        keys = batch_keys(jax.random.key(0), index, total)
        context = Context(jnp.zeros((), jnp.int32), params, frozen)
        losses, metrics = loss(params, keys, batch, context)
        return {"loss": losses, **metrics}

    run = parallel.pmap_map(values_of, devices, (False, False, True, True))
    frozen = parallel.replicate(frozen, devices)

    def validate(params):
        params, parts = parallel.replicate(params, devices), []
        for at in range(0, total, size):
            # the last batch repeats its last pair
            pairs = np.minimum(np.arange(at, at + size), total - 1)
            batch = pairs.astype(np.int32), load(order[pairs])
            out = run(params, frozen, *parallel.shard(batch, len(devices)))
            parts.append(jax.device_get(parallel.unshard(out)))
        values = jax.tree.map(lambda *some: np.concatenate(some)[:total], *parts)
        return summary(values)

    return validate


def summary(values: dict[str, np.ndarray]) -> dict[str, float]:
    """The means of f32[m] by name, in total and by log-SNR, equations 1 and 3.

    Errors: FloatingPointError for a loss that is not finite.
    """
    if not np.isfinite(values["loss"]).all():
        raise FloatingPointError("the validation loss is not finite")
    log_snr = values.pop("log_snr", None)
    means = {f"{NAME}{k}": _mean(v) for k, v in values.items()}
    for name, (low, high) in zip(RANGES, pairwise(EDGES), strict=True):
        inside = (low <= log_snr) & (log_snr < high) if log_snr is not None else ()
        if np.any(inside):
            some = {f"{NAME}{k}{BY}{name}": _mean(v[inside]) for k, v in values.items()}
            means |= some
    return means


def _mean(values):
    return float(np.mean(values, dtype=np.float64))


def lines_of(
    rows: Sequence[dict[str, Any]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The losses in rows of metrics.jsonl, name -> (steps, values): "training",
    "validation", the ranges of log-SNR, and TERMS, as far as there are any.
    """
    total = f"{NAME}loss"
    names = {"loss": "training", total: "validation"}
    names |= {f"{total}{BY}{r}": f"log-SNR {r.replace('_', ' ')}" for r in RANGES}
    if any("kl" in row for row in rows):  # without it the other term is the loss
        names |= TERMS
    lines = {}
    for field, name in names.items():
        points = [(row["step"], row[field]) for row in rows if field in row]
        if points:
            steps, values = zip(*points, strict=True)
            lines[name] = np.array(steps), np.array(values)
    return lines
