"""What a run draws while it trains, by what its task is for."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build, rng
from jaxdiff.arrays import PyTree
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.diffusion import schedules, upsampling
from jaxdiff.plots import curves, pictures, tables
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.sampler import even_labels, make_sampler, num_asked
from jaxdiff.tasks.task import Task

Preview = Callable[[PyTree, Path], None]

# Real rows beside the generated ones in a pair plot.
ROWS = 2000
# Images that a classifier's preview is measured on.
IMAGES = 512
# Images in a row of what an autoencoder makes of them.
ACROSS = 10


def make_preview(config: ConfigDict, source: Source, task: Task) -> Preview:
    """(averaged parameters, path of a PNG) -> None, for any task.

    Errors: ValueError for what does not fit, before any work.
    """
    return PREVIEWS[task.kind](config, source, task)


def _samples(config, source, task):
    if config.diffusion.low_size:
        return _enlarged(config, source, task)
    num = config.train.num_preview
    sampler = make_sampler(config, source, task)
    labels = even_labels(num, num_asked(config, source))

    def draw(params, path):
        x = sampler.draw(params, config.seed, np.arange(num), labels)
        save_samples(path, source, x, labels)

    return draw


def _enlarged(config, source, task):
    """Rows: images made small and enlarged without a model, by it, and as they were."""
    sampler = make_sampler(config, source, task)
    num, shape = min(config.train.num_preview, ACROSS), source.shape
    batch = source[permutation(config.seed, 0, len(source))[:num]]
    labels = batch["label"] if build.num_labels(config, source) else None
    low = upsampling.shrink(jnp.asarray(batch["x"]), config.diffusion.low_size)
    bicubic = jax.image.resize(low, (len(low), *shape), "cubic")

    def draw(params, path):
        x = sampler.draw(params, config.seed, np.arange(len(low)), labels, low=low)
        rows = {"bicubic": bicubic, "enlarged": x, "image": batch["x"]}
        pictures.save_rows(path, {k: _pixels(source, v) for k, v in rows.items()})

    return draw


def _pixels(source, x):
    return pictures.to_uint8(source.decode(np.asarray(x)), source.peak)


def save_samples(
    path: Path, source: Source, x: np.ndarray, labels: np.ndarray | None
) -> None:
    """A grid of images in model units, or a pair plot of rows beside the real ones."""
    values = source.decode(x)
    if source.is_image:
        pixels = pictures.to_uint8(values, source.peak)
        columns = sample.grid_columns(labels, len(x))
        pictures.save_grid(path, pixels, columns=columns)
    else:
        real = source.decode(source[np.arange(min(len(source), ROWS))]["x"])
        tables.save_pairs(path, {"real": real, "generated": values})


def _accuracies(config, source, task):
    """A curve: how often the classifier is right at each time, on training data."""
    index = permutation(config.seed, 0, len(source))[:IMAGES]
    schedule, noise = build.make_schedule(config), build.make_noise(config)
    ts, guess = np.linspace(0.0, 1.0, 21, dtype=np.float32), 1 / source.num_classes

    @jax.jit
    def share(classify, keys, x, labels, t):
        c = schedules.coeffs(schedule, t)
        eps = rng.draw(noise, keys, x.shape[1:])
        said = classify.logits(c.alpha * x + c.sigma * eps, t).argmax(-1)
        return (said == labels).mean()

    def draw(params, path):
        batch, classify = source[index], task.model(params)
        keys = rng.split_by(jax.random.key(config.seed), jnp.asarray(index))
        right = [share(classify, keys, batch["x"], batch["label"], t) for t in ts]
        said = {"classifier": np.asarray(right), "a guess": np.full_like(ts, guess)}
        curves.save_lines(
            path,
            {name: (ts, shares) for name, shares in said.items()},
            xlabel="t",
            ylabel=f"share of {len(index)} images given their label",
        )

    return draw


def _codes(config, source, task):
    num = min(config.train.num_preview, ACROSS)
    x = source[np.arange(min(num, len(source)))]["x"]
    keys = rng.split_by(jax.random.key(config.seed), jnp.arange(num))

    def draw(params, path):
        coder = task.model(params)
        mean, again = _round_trip(coder, x)
        rows = {"image": x, "decoded": again, "of N(0, I)": decode(coder, mean, keys)}
        pictures.save_rows(path, {k: _pixels(source, v) for k, v in rows.items()})

    return draw


@jax.jit
def _round_trip(coder, x):
    mean, _ = coder.encode(x)
    return mean, coder.decode(mean)


@jax.jit
def decode(coder, like, keys):
    """Decoded draws of N(0, I), one a key; `like`: codes f32[b, *latent] for shape."""
    return coder.decode(rng.draw(jax.random.normal, keys, like.shape[1:]))


PREVIEWS = {"denoiser": _samples, "classifier": _accuracies, "autoencoder": _codes}
