"""A classifier that looks at images: their features, and their labels.

Either a trained one read back, which knows the classes of its data, or Inception, which
knows 1008 others and looks at images of any data. Images are in data units,
f[n, h, w, c] in [0, peak], whatever units the classifier was trained in; it looks at
them as they are, at t = 0.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from tqdm import tqdm

from jaxdiff.arrays import require
from jaxdiff.data.source import Source, as_pixels
from jaxdiff.interop import inception
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import load
from jaxdiff.tasks.classifier import Classify
from jaxdiff.tasks.task import Apply

# Images looked at in one call; the last are padded to it, so that one shape compiles.
CHUNK = 256
# Of them Inception's: its first maps take 10 MB an image.
INCEPTION_CHUNK = 32
STRANGER = (
    "knows other classes than the data's, and can give no labels; take the run of a "
    "classifier of the data (configs/digits_judge.py, configs/fashion_judge.py)"
)


# What a field or flag that names a judge asks for.
WANTED = (
    "the run of a classifier of the same data (configs/digits_judge.py, "
    "configs/fashion_judge.py), or Inception's file (README)"
)


class Judge(NamedTuple):
    """source: the data it looks at, in its own units: those that it was trained on, or
    those that load_judge was given
    classify: logits and features of images in model units
    folder, step: of the run; of Inception the file of its weights, and None
    published: of Inception: its classes are not those of the source, and distances of
    its features have been published, of features as they are
    chunk: the most images it looks at in one call
    """

    source: Source
    classify: Classify
    folder: Path
    step: int | None
    published: bool = False
    chunk: int = CHUNK


def load_judge(folder: Path, source: Source | None = None) -> Judge:
    """The classifier of a run's averaged parameters; of a file of weights, Inception.

    Args:   source: of the images to be judged, for Inception, which has no data.
    Errors: FileNotFoundError for what is no workdir or has no checkpoint; ValueError
            for a run that is no classifier of images, for Inception without a source
            of images, and for files as interop.inception.load.
    """
    if is_inception(folder):
        if source is None or not source.is_image:
            got = "no data" if source is None else "a table"
            raise ValueError(
                f"{folder} judges images of data that it is told of, got {got}"
            )
        network, weights = inception.load(folder)
        logits = Partial(Apply(network), weights)
        own = Partial(Apply(network, features=True), weights)
        judged = as_pixels(source)
        return Judge(judged, Classify(logits, own), folder, None, True, INCEPTION_CHUNK)
    config = files.load_config(folder)
    require(
        config.task == "classifier",
        f"{folder} is a run of task={config.task!r}; a judge is a run of "
        "task='classifier', as configs/fashion_judge.py trains",
    )
    trained = load(folder, config)
    model = trained.task.model(trained.params)
    return Judge(trained.source, model, folder, trained.step)


def load_for(name: str, folder: Path, source: Source) -> Judge:
    """load_judge for images of `source`; `name` is the flag or field that names it.

    Errors: as load_judge's, and ValueError for a judge of images of another size.
    """
    judge = load_judge(folder, source)
    require(
        judge.source.shape == source.shape,
        f"{name}={folder} looks at {judge.source.shape}, the run makes {source.shape}",
    )
    return judge


def is_inception(path: Path) -> bool:
    """Whether a judge is a file of weights, there or not, instead of a run's folder."""
    return path.is_file() or path.suffix == inception.SUFFIX


def features(judge: Judge, values: np.ndarray, peak: float) -> np.ndarray:
    """f32[n, d], the vectors that the judge's logits are linear in.

    Args:   values: f[n, h, w, c] in [0, peak], n >= 1.
    Errors: ValueError for images of another size or number of channels, values out of
            [0, peak], and for no images.
    """
    return _look(judge, _features, values, peak)


def labels(judge: Judge, values: np.ndarray, peak: float) -> np.ndarray:
    """i32[n], the likeliest class of each image. Args and Errors: as `features`, and
    ValueError for a judge of other classes than the data's.
    """
    require(not judge.published, f"{judge.folder} {STRANGER}")
    return _look(judge, _labels, values, peak)


def features_and_probabilities(
    judge: Judge, values: np.ndarray, peak: float
) -> tuple[np.ndarray, np.ndarray]:
    """f32[n, d] and f32[n, classes], looking once. Args and Errors: as `features`."""
    # both ways hold the same parameters; given once, XLA sees that they are one way
    leaves, tree = jax.tree.flatten(judge.classify)
    once = {id(leaf): leaf for leaf in leaves}
    place = {key: i for i, key in enumerate(once)}
    both = partial(_both, tree, tuple(place[id(leaf)] for leaf in leaves))
    return _look(judge._replace(classify=[*once.values()]), both, values, peak)


@jax.jit
def _features(classify, x):
    return classify.features(x, jnp.zeros(()))


@jax.jit
def _labels(classify, x):
    return classify.logits(x, jnp.zeros(())).argmax(-1).astype(jnp.int32)


@partial(jax.jit, static_argnums=(0, 1))
def _both(tree, places, leaves, x):
    classify, t = jax.tree.unflatten(tree, [leaves[i] for i in places]), jnp.zeros(())
    return classify.features(x, t), jax.nn.softmax(classify.logits(x, t))


def _look(judge, look, values, peak):
    check(judge, values, peak)
    parts, n, chunk = [], len(values), min(judge.chunk, CHUNK)
    with tqdm(total=n, desc="judging", unit="img", delay=1.0, leave=False) as bar:
        for at in range(0, n, chunk):
            rows = np.minimum(np.arange(at, at + chunk), n - 1)
            own = np.asarray(values[rows], np.float32) * (judge.source.peak / peak)
            seen = look(judge.classify, judge.source.encode(own))
            parts.append(jax.device_get(seen))
            bar.update(min(chunk, n - at))
    return jax.tree.map(lambda *some: np.concatenate(some)[:n], *parts)


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
