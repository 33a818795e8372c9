"""Preview of an autoencoder: images, their reconstructions, and decoded noise."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxdiff import rng
from jaxdiff.arrays import PyTree
from jaxdiff.data.orders import evenly
from jaxdiff.plots import pictures
from jaxdiff.runs.experiment import Experiment
from jaxdiff.tasks.autoencoder import decode_normal

# Images in a row, at most.
ACROSS = 10


def make(run: Experiment) -> Callable[[PyTree, Path], None]:
    """Rows: images evenly spread over the data, decoded from their codes, and decoded
    draws of N(0, I), the same each time.
    """
    num = min(run.config.train.num_preview, ACROSS)
    x = run.source[evenly(len(run.source), num)]["x"]
    keys = rng.split_by(jax.random.key(run.config.seed), jnp.arange(num))

    def draw(params: PyTree, path: Path) -> None:
        coder = run.task.model(params)
        mean, decoded = _round_trip(coder, x)
        sampled = decode_normal(coder, keys, mean)
        rows = {"image": x, "decoded": decoded, "of N(0, I)": sampled}
        pictures.save_rows(path, {k: run.pixels(v) for k, v in rows.items()})

    return draw


@jax.jit
def _round_trip(coder, x):
    mean, _ = coder.encode(x)
    return mean, coder.decode(mean)
