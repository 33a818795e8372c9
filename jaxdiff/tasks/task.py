"""The type of a task: what training needs, and what the parameters are for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxdiff.arrays import PyTree
from jaxdiff.train.step import Loss


class Task(NamedTuple):
    """What is trained.

    init:  key -> params
    loss:  (params, Keys, batch, Context) -> (f32[b], {name: f32[b]}). The batch comes
           from a Source, and the Context from the training step (train/step.py).
    model: params -> a value (a Partial), by kind:
           "denoiser": a Denoise. Its condition is that of the data, or None; that of an
           upsampler is conditions.Beside.
           "autoencoder": a Coder, see tasks/autoencoder.py
           "classifier": a Classify, see tasks/classifier.py
    kind:  one of these
    is_upsampler: whether x_t is denoised beside a small image that a sampler supplies
    null:  the condition that means "none" (conditions.py), for one example; None if the
           model has not learned to do without its condition
    example_cond: a batch of one condition, for shapes; None if the model takes none
    embed: (params, t f32[b], cond) -> the vector f32[b, e] in which the network has the
           time and the condition, or None; only of kind "denoiser"
    frozen: a tree of arrays that the loss reads but nothing trains, such as a teacher
    validation: of held-out examples (validating.py); None for the loss itself
    """

    init: Callable
    loss: Loss
    model: Callable
    kind: str
    is_upsampler: bool = False
    null: PyTree = None
    example_cond: PyTree = None
    frozen: PyTree = None
    validation: Loss | None = None
    embed: Callable | None = None

    def cond_of(self, batch: dict[str, Any]) -> PyTree:
        """The condition of a batch as the model takes it; None if it takes none."""
        return None if self.example_cond is None else batch["cond"]


@dataclass(frozen=True)
class Apply:
    """network.apply, as of flax's modules, as a value: equal for equal networks.

    jit recognises a Partial by its function. A bound method, or one of functools, is
    equal only to itself, so each load of a run would compile its sampler again.

    features: call the network with features=True, for features instead of its output.
    """

    network: Any
    features: bool = False

    def __call__(self, variables, *args, **kwargs):
        if self.features:
            kwargs["features"] = True
        return self.network.apply(variables, *args, **kwargs)
