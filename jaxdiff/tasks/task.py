"""What a task is: everything that a training run needs of it, and what it is for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn

from jaxdiff.arrays import PyTree
from jaxdiff.train.step import Loss


class Task(NamedTuple):
    """What is trained, and what becomes of it.

    init:  key -> params
    loss:  (params, Keys, batch, Context) -> (f32[b], {name: f32[b]}); batch as from a
           Source, Context as from the training step (train/step.py)
    model: params -> what they are for, a value (a Partial):
           "denoiser": a Denoise, whose condition is that of the data or None, and of
           an upsampler conditions.Beside
           "autoencoder": a Coder, see tasks/autoencoder.py
           "classifier": a Classify, see tasks/classifier.py
    kind:  which of these
    is_upsampler: whether x_t is denoised beside a small image, which a sampler needs
    null:  the condition that means "none" (conditions.py), shaped as that of one
           example; None where the model has not learned to do without its condition
    example_cond: a batch of one condition, for shapes; None where the model takes none
    frozen: a tree of arrays that the loss reads and nothing trains: teachers, targets
    """

    init: Callable
    loss: Loss
    model: Callable
    kind: str
    is_upsampler: bool = False
    null: PyTree = None
    example_cond: PyTree = None
    frozen: PyTree = None

    def cond_of(self, batch: dict[str, Any]) -> PyTree:
        """The condition of a batch, as the model takes it: None if it takes none."""
        return None if self.example_cond is None else batch["cond"]


@dataclass(frozen=True)
class Apply:
    """network.apply, equal for networks of equal fields.

    jit recognises a Partial by its function: a bound method, or one of functools, is
    equal to itself alone, and each load of a run would compile its sampler anew.

    features: call the network with features=True, for features instead of its output.
    """

    network: nn.Module
    features: bool = False

    def __call__(self, variables, *args, **kwargs):
        if self.features:
            kwargs["features"] = True
        return self.network.apply(variables, *args, **kwargs)
