"""A trained classifier read back to look at images: their features, and their labels.

Images are in data units, f[n, h, w, c] in [0, peak], whatever units the classifier was
trained in; it looks at them as they are, at t = 0.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.runs import workdir as files
from jaxdiff.runs.trained import load
from jaxdiff.tasks.classifier import Classify

# Images looked at in one call; the last are padded to it, so that one shape compiles.
CHUNK = 256


class Judge(NamedTuple):
    """source: the data it was trained on; its shape, units and classes are the judge's
    classify: logits and features of images in model units
    folder, step: of the run
    """

    source: Source
    classify: Classify
    folder: Path
    step: int


def load_judge(folder: Path) -> Judge:
    """The classifier of a run's averaged parameters.

    Errors: FileNotFoundError for what is no workdir or has no checkpoint; ValueError
            for a run that is no classifier of images.
    """
    config = files.load_config(folder)
    require(
        config.task == "classifier",
        f"{folder} is a run of task={config.task!r}; a judge is a run of "
        "task='classifier', as configs/fashion_judge.py trains",
    )
    trained = load(folder, config)
    model = trained.task.model(trained.params)
    return Judge(trained.source, model, folder, trained.step)


def features(judge: Judge, values: np.ndarray, peak: float) -> np.ndarray:
    """f32[n, d], the vectors that the judge's logits are linear in.

    Args:   values: f[n, h, w, c] in [0, peak], n >= 1.
    Errors: ValueError for images of another size or number of channels, values out of
            [0, peak], and for no images.
    """
    return _look(judge, _features, values, peak)


def labels(judge: Judge, values: np.ndarray, peak: float) -> np.ndarray:
    """i32[n], the likeliest class of each image. Args and Errors: as `features`."""
    return _look(judge, _labels, values, peak)


def probabilities(judge: Judge, values: np.ndarray, peak: float) -> np.ndarray:
    """f32[n, classes], of each image. Args and Errors: as `features`."""
    return _look(judge, _probabilities, values, peak)


@jax.jit
def _features(classify, x):
    return classify.features(x, jnp.zeros(()))


@jax.jit
def _labels(classify, x):
    return classify.logits(x, jnp.zeros(())).argmax(-1).astype(jnp.int32)


@jax.jit
def _probabilities(classify, x):
    return jax.nn.softmax(classify.logits(x, jnp.zeros(())))


def _look(judge, look, values, peak):
    check(judge, values, peak)
    parts, n = [], len(values)
    with tqdm(total=n, desc="judging", unit="img", delay=1.0, leave=False) as bar:
        for at in range(0, n, CHUNK):
            rows = np.minimum(np.arange(at, at + CHUNK), n - 1)
            own = np.asarray(values[rows], np.float32) * (judge.source.peak / peak)
            seen = look(judge.classify, judge.source.encode(own))
            parts.append(np.asarray(seen)[: n - at])
            bar.update(len(parts[-1]))
    return np.concatenate(parts)


def check(judge: Judge, values: np.ndarray, peak: float) -> None:
    """ValueError unless the judge can look at these images in [0, peak]."""
    shape = judge.source.shape
    require(len(values) >= 1, "there is no image to judge")
    require(
        values.shape[1:] == shape,
        f"images are {_size(values.shape[1:])}, but {judge.folder} judges "
        f"{_size(shape)}: bring them to its size",
    )
    low, high = values.min(), values.max()
    require(
        0 <= low and high <= peak,  # false for NaN too
        f"images must have values in [0, {peak:g}], got {low:g} to {high:g}; give "
        "data units, not the model's",
    )


def _size(shape):
    if len(shape) != 3:
        return f"of shape {(*shape,)}"
    return f"{shape[1]}x{shape[0]} of {shape[2]} channel{'s' * (shape[2] > 1)}"
