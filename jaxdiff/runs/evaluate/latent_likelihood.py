"""What is left to say of images whose codes a model knows: their first stage's share.

The decoder is a normal about the decoded image, put on the pixels' levels. Its one
deviation is the root mean square error of what is decoded, measured on the images that
are asked about.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build, rng
from jaxdiff.data.source import Source
from jaxdiff.runs.experiment import load_autoencoder
from jaxdiff.tasks.autoencoder import Coder, sample_code, share

# The draws of codes are apart from those of the bounds, which count from 0.
STREAM = 2**31
# Images looked at in one call; the last are filled up, so that one shape compiles.
CHUNK = 256


class Stage(NamedTuple):
    """coder:   of the autoencoder, a value
    images:  what it was trained on
    start, scale: a code in the second model's units is (z - start) / scale, by channel
    log_std: of the decoder's normal in model units of the images; NaN until `measured`
    """

    coder: Coder
    images: Source
    start: np.ndarray
    scale: np.ndarray
    log_std: float = float("nan")


class Share(NamedTuple):
    """Of each image: its code f32[n, *latent] in the second model's units, and bits
    per value of the image that the decoder and the encoder have to say, f32[n].
    """

    codes: np.ndarray
    decoder: np.ndarray
    encoder: np.ndarray


def load_stage(config: ConfigDict, codes: Source) -> Stage | None:
    """Of a run whose data are codes that have a density; None for any other."""
    if config.data.name != "latents":
        return None
    trained = load_autoencoder(Path(config.data.path))
    if not trained.config.autoencoder.kl_weight:
        return None
    start, scale = np.asarray(codes.moments or (0.0, 1.0), np.float32)
    coder = trained.task.model(trained.params)
    return Stage(coder, trained.source, start, scale)


def measured(stage: Stage, seed: int, index: np.ndarray) -> Stage:
    """The stage with the deviation that fits the images `index` i64[n] best."""
    (errors,) = _in_chunks(_errors, stage, seed, index)
    return stage._replace(log_std=float(0.5 * np.log(errors.mean(dtype=np.float64))))


def look(stage: Stage, seed: int, index: np.ndarray) -> Share:
    """One draw of the code of each image, and what it leaves to say."""
    found = partial(_share, build.make_decoder(stage.images), stage.log_std)
    z, *nats = _in_chunks(found, stage, seed, index)
    each = z[0].size // stage.scale.size  # values of a code that a scale is for
    nats[1] = nats[1] + each * np.log(stage.scale).sum()
    size = np.prod(stage.images.shape) * np.log(2.0)
    return Share((z - stage.start) / stage.scale, *(some / size for some in nats))


def _in_chunks(function, stage, seed, index):
    """function(coder, keys, images) -> arrays f32[b, ...], of all of i64[n]."""
    parts = []
    for at in range(0, len(index), CHUNK):
        some = index[at : at + CHUNK]
        rows = some[np.minimum(np.arange(CHUNK), len(some) - 1)]
        keys = rng.split_by(jax.random.key(seed), jnp.asarray(rows))
        x = stage.images[rows]["x"]
        found = function(stage.coder, rng.fold(keys, STREAM), x)
        parts.append([np.asarray(a)[: len(some)] for a in found])
    return [np.concatenate(some) for some in zip(*parts, strict=True)]


@jax.jit
def _errors(coder, keys, x):
    z = sample_code(keys, *coder.encode(x))
    error = jnp.square(coder.decode(z) - x)
    return (error.mean(tuple(range(1, x.ndim))),)


@jax.jit
def _share(decoder, log_std, coder, keys, x):
    return share(keys, coder, x, decoder, log_std)
