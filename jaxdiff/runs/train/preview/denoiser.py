"""Previews of a diffusion model: its samples, or the images that it enlarges."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import PyTree
from jaxdiff.data.batches import permutation
from jaxdiff.diffusion import upsampling
from jaxdiff.plots import pictures
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.shared_pictures import save_samples

# Images in a row, at most.
ACROSS = 10


def make(run: Experiment) -> Callable[[PyTree, Path], None]:
    """Samples from the same noise each time; of an upsampler, what it makes of images.

    Errors: ValueError, FileNotFoundError for a sampler that does not fit.
    """
    return _make_enlarged(run) if run.is_upsampler else _make_samples(run)


def _make_samples(run: Experiment) -> Callable[[PyTree, Path], None]:
    num, sampler = run.config.train.num_preview, run.sampler()
    cond = run.conditions(num)
    labels = run.labels_of(cond)

    def draw(params: PyTree, path: Path) -> None:
        x = sampler.draw(params, run.config.seed, np.arange(num), cond)
        save_samples(path, run.source, run.source.decode(x), labels)

    return draw


def _make_enlarged(run: Experiment) -> Callable[[PyTree, Path], None]:
    """Rows: real images made small and enlarged by interpolation and by the model, and
    as they were.
    """
    config, source = run.config, run.source
    sampler = run.sampler(with_base=False)
    num = min(config.train.num_preview, ACROSS)
    batch = source[permutation(config.seed, 0, len(source))[:num]]
    cond = run.task.cond_of(batch)
    low = upsampling.shrink(jnp.asarray(batch["x"]), config.diffusion.low_size)
    bicubic = jax.image.resize(low, (len(low), *source.shape), "cubic")

    def draw(params: PyTree, path: Path) -> None:
        x = sampler.draw(params, config.seed, np.arange(len(low)), cond, low=low)
        rows = {"bicubic": bicubic, "enlarged": x, "image": batch["x"]}
        pictures.save_rows(path, {k: run.pixels(v) for k, v in rows.items()})

    return draw
