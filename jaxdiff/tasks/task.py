"""What a task is: all that the training run asks of it, and what it is for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn

from jaxdiff.arrays import PyTree


class Task(NamedTuple):
    """init:  key -> params
    loss:  (params, Keys, batch) -> (f32[b], {name: f32[b]}); batch as from a Source
    model: params -> what they are for, a value (a Partial):
           "denoiser": a Denoise; the condition is int32[b] labels or None, for an
           upsampler inputs.Beside
           "autoencoder": a Coder, see tasks/autoencoder.py
           "classifier": a Classify, see tasks/classifier.py
    kind:  which of these
    null:  the condition that means "no label"; None where the model takes no labels
    """

    init: Callable
    loss: Callable
    model: Callable
    kind: str
    null: PyTree = None


@dataclass(frozen=True)
class Apply:
    """network.apply, equal for networks of equal fields.

    jit knows a Partial again by its function: a bound method, or one of functools, is
    equal to itself alone, and each load of a run would compile its sampler anew.

    features: what the network gives if asked for features, instead of its output.
    """

    network: nn.Module
    features: bool = False

    def __call__(self, variables, *args, **kwargs):
        if self.features:
            kwargs["features"] = True
        return self.network.apply(variables, *args, **kwargs)
