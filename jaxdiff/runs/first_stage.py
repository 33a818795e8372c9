"""The autoencoder of a run as the first stage of latent diffusion.

A checksum identifies a trained encoder: a run on its codes notices another one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import upgrades
from jaxdiff.arrays import PyTree
from jaxdiff.data import record as records
from jaxdiff.data.latents import FirstStage
from jaxdiff.runs.workdir import read_config

# What is hashed beside the parameters.
BLOCKS = ("data", "model")
# Begins every checksum of today's formula; the first formula had no such mark.
VERSION = "2-"


def make_first_stage(run: Any, stored: str = "") -> FirstStage:
    """Codes are the means, without noise; they are kept in the workdir.

    run: the Experiment of the autoencoder.
    stored: the checksum that a run on its codes has, if any.
    """
    return FirstStage(
        run.source,
        lambda x: _encode(run.model, x),
        lambda z: _decode(run.model, z),
        encoder_checksum(run.path, run.config, run.params, stored),
        run.path / "latents",
        run.record or records.of(run.source),
    )


def encoder_checksum(
    workdir: Path, config: ConfigDict, params: PyTree, stored: str = ""
) -> str:
    """The checksum of a run's data, architecture and parameters.

    VERSION and 16 hexadecimal digits, of upgrades.identity: a field added
    and data that move to another folder leave it as it is.

    stored: the checksum that a run on these codes has. Without the mark it was made
            by the first formula: 16 digits, of the two blocks with every field that
            config.json had then. It is made again in the same way, from the same file
            (save_config does not rewrite an equal config), so that codes
            and runs of the first formula stay good.
    """
    if stored and not stored.startswith(VERSION):
        blocks = read_config(workdir)
        return _digest([dict(sorted(blocks[name].items())) for name in BLOCKS], params)
    return VERSION + _digest(upgrades.identity(config, *BLOCKS), params)


def _digest(about: Any, params: PyTree) -> str:
    digest = hashlib.sha256(json.dumps(about, default=list).encode())
    for leaf in jax.tree.leaves(params):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


@jax.jit
def _encode(coder, x):
    return coder.encode(x)[0]


@jax.jit
def _decode(coder, z):
    return coder.decode(z)
