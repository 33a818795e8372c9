"""The autoencoder of a run as the first stage of latent diffusion."""

from pathlib import Path

import jax
from ml_collections import ConfigDict

from jaxdiff.arrays import PyTree
from jaxdiff.data.latents import FirstStage
from jaxdiff.data.source import Source
from jaxdiff.runs import checksum
from jaxdiff.tasks.autoencoder import Coder


def make_first_stage(
    config: ConfigDict,
    source: Source,
    params: PyTree,
    coder: Coder,
    workdir: Path,
    stored: str = "",
) -> FirstStage:
    """Codes are the means, without noise; they are kept in the workdir.

    config, source, params, coder: of the autoencoder's run.
    stored: the checksum that a run on its codes has, if any.
    """
    return FirstStage(
        source,
        lambda x: _encode(coder, x),
        lambda z: _decode(coder, z),
        checksum.of_encoder(workdir, config, params, stored),
        workdir / "latents",
    )


@jax.jit
def _encode(coder, x):
    return coder.encode(x)[0]


@jax.jit
def _decode(coder, z):
    return coder.decode(z)
