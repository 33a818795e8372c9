"""Weights & Biases. Without network: WANDB_MODE=offline, and later `wandb sync`."""

import os
import secrets
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from jaxdiff import files
from jaxdiff.train.trackers import Fields, Start

# In the workdir: the run's id there, by which a run that resumes continues it.
ID = "wandb/id"


def make(project: str = "jaxdiff") -> Start:
    """project: that the run belongs to; the environment's WANDB_PROJECT comes first.

    Errors: ValueError without the package.
    """
    try:
        wandb = import_module("wandb")
    except ModuleNotFoundError:
        raise ValueError(
            "train.trackers: 'wandb' needs the package wandb: pip install -e '.[wandb]'"
        ) from None
    project = os.environ.get("WANDB_PROJECT", project)
    return Start("Weights & Biases", partial(_open, wandb, project))


class _Run(NamedTuple):
    wandb: Any
    run: Any

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def image(self, step: int, path: Path) -> None:
        self.run.log({"samples": self.wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        self.run.finish()


def _open(wandb: Any, project: str, workdir: Path, first: int, config: Fields) -> _Run:
    del first  # of steps that it has already, the values are the same
    path = workdir / ID
    if not path.is_file():
        files.write_text(path, secrets.token_hex(4))
    run = wandb.init(
        project=project,
        id=path.read_text(),
        name=workdir.resolve().name,
        dir=str(workdir),
        config={k: v for fields in config.values() for k, v in fields.items()},
        resume="allow",
    )
    return _Run(wandb, run)
