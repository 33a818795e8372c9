"""What a run draws while it trains, by what its task is for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import PyTree
from jaxdiff.data.source import Source
from jaxdiff.plots import pictures, tables
from jaxdiff.runs import sample
from jaxdiff.tasks.task import Task

Preview = Callable[[PyTree, Path], None]

# Real rows beside the generated ones in a pair plot.
ROWS = 2000


def make_preview(config: ConfigDict, source: Source, task: Task) -> Preview:
    """(averaged parameters, path of a PNG) -> None, for any task.

    Errors: ValueError for what does not fit, before any work.
    """
    return PREVIEWS[task.kind](config, source, task)


def _samples(config, source, task):
    num = config.train.num_preview
    sampler = sample.make_sampler(config, source, task)
    labels = sample.even_labels(num, build.num_labels(config, source))

    def draw(params, path):
        x = sampler.draw(params, config.seed, np.arange(num), labels)
        save_samples(path, source, x, labels)

    return draw


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


PREVIEWS = {"denoiser": _samples}
