"""The share of a first stage in the likelihood of images whose codes a model generates.

The decoder is a normal about the decoded image, with a probability for each level of a
pixel. Its one deviation is the root mean square error of what is decoded, measured on
the images whose likelihood is estimated.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build, rng
from jaxdiff.data.batches import map_chunks
from jaxdiff.data.source import Source
from jaxdiff.runs.experiment import Experiment
from jaxdiff.tasks.autoencoder import Coder, Share, decoding_error, share

# The draws of codes are apart from those of the bounds, which count from 0.
STREAM = 2**31
# Images in one call; the last are filled up, so that one shape compiles.
CHUNK = 256
# What adds up to the bpd of images.
SHARES = ("codes", "decoder of images", "encoder")


class Stage(NamedTuple):
    """coder:   of the autoencoder, a value.  images: what it was trained on
    start, scale: a code in the second model's units is (z - start) / scale, by channel
    log_std: of the decoder's normal in model units of the images; NaN until it is fit
    """

    coder: Coder
    images: Source
    start: np.ndarray
    scale: np.ndarray
    log_std: float = float("nan")


def make_stage(run: Experiment) -> Stage | None:
    """For a run whose data are codes that have a density; None for any other."""
    if run.config.data.name != "latents":
        return None
    first = run.autoencoder
    if not first.config.autoencoder.kl_weight:
        return None
    start, scale = np.asarray(run.source.moments or (0.0, 1.0), np.float32)
    return Stage(first.model, first.source, start, scale)


def fit_deviation(stage: Stage, seed: int, index: np.ndarray) -> Stage:
    """The stage with the deviation that fits the images `index` i64[n] best."""
    errors = _in_chunks(decoding_error, stage, seed, index)
    return stage._replace(log_std=float(0.5 * np.log(errors.mean(dtype=np.float64))))


def measure(stage: Stage, seed: int, index: np.ndarray) -> Share:
    """One draw of the code of each image, in the second model's units, and the bpd of
    the image that belong to the decoder and the encoder.
    """
    decoder = build.make_decoder(stage.images)
    part = partial(share, decoder=decoder, log_std=stage.log_std)
    z, *nats = _in_chunks(part, stage, seed, index)
    repeats = z[0].size // stage.scale.size  # values of a code that share a scale
    nats[1] = nats[1] + repeats * np.log(stage.scale).sum()
    size = np.prod(stage.images.shape) * np.log(2.0)
    return Share((z - stage.start) / stage.scale, *(some / size for some in nats))


def add_up(stage: Stage, share: Share, bpd: np.ndarray) -> dict[str, Any]:
    """The bpd of codes, f32[n], as SHARES of the bpd of their images, and the total."""
    n, part = len(bpd), share.z[0].size / np.prod(stage.images.shape)
    shares = bpd * part, share.decoder[:n], share.encoder[:n]
    parts = {**dict(zip(SHARES, shares, strict=True)), "total": sum(shares)}
    return {name: np.float32(value) for name, value in parts.items()}


def _in_chunks(
    function: Callable[..., Any], stage: Stage, seed: int, index: np.ndarray
) -> Any:
    """function(keys, coder, images) -> arrays f32[b, ...], of all of i64[n]."""

    def of(rows):
        keys = rng.split_by(jax.random.key(seed), jnp.asarray(index[rows]))
        x = jnp.asarray(stage.images[index[rows]]["x"])
        return function(rng.fold(keys, STREAM), stage.coder, x)

    return map_chunks(of, len(index), CHUNK)
