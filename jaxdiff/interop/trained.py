"""A run of ours, as it is written in the format of another project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxdiff.arrays import PyTree

__all__ = ["Trained"]


class Trained(NamedTuple):
    """A run that is written.

    config:  as its config.json holds it
    fields:  the same, {"block.field": value}
    shape:   of what its network is given, (h, w, c)
    rows:    of its table of labels; 0 without
    params:  of its network
    step:    optimiser steps of its training
    figures: what was measured last in training, by name
    stage:   the run of the first stage, if the data are codes
    """

    config: Mapping[str, Any]
    fields: Mapping[str, Any]
    shape: tuple[int, ...]
    rows: int
    params: PyTree
    step: int
    figures: Mapping[str, Any]
    stage: Trained | None = None
