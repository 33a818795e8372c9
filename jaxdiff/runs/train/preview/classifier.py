"""Preview of a classifier: how often it is right at each time of the noise."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build, rng
from jaxdiff.arrays import PyTree
from jaxdiff.data.batches import permutation
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.plots import curves
from jaxdiff.runs.experiment import Experiment

# Training images that it is measured on.
NUM_IMAGES = 512


def make(run: Experiment) -> Callable[[PyTree, Path], None]:
    """A curve of the accuracy on training images over t, beside that of a guess."""
    config, source, schedule = run.config, run.source, run.schedule
    index = permutation(config.seed, 0, len(source))[:NUM_IMAGES]
    noise = build.make_noise(config)
    ts = np.linspace(0.0, 1.0, 21, dtype=np.float32)

    @jax.jit
    def accuracy(classify, keys, x, labels, t):
        c = coeffs(schedule, t)
        eps = rng.draw(noise, keys, x.shape[1:])
        logits = classify.logits(c.alpha * x + c.sigma * eps, t)
        return (logits.argmax(-1) == labels).mean()

    def draw(params: PyTree, path: Path) -> None:
        batch, classify = source[index], run.task.model(params)
        keys = rng.split_by(jax.random.key(config.seed), jnp.asarray(index))
        x, labels = batch["x"], batch["cond"]
        right = np.array([accuracy(classify, keys, x, labels, t) for t in ts])
        curves.save_lines(
            path,
            {
                "classifier": (ts, right),
                "a guess": (ts, np.full_like(ts, 1 / source.num_classes)),
            },
            xlabel="t",
            ylabel=f"share of {len(index)} images given their label",
        )

    return draw
