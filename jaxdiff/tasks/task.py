"""What a task is: all that the training run asks of it."""

from collections.abc import Callable
from typing import NamedTuple


class Task(NamedTuple):
    """init:     key -> params
    loss:     (params, Keys, batch) -> (f32[b], {name: f32[b]}); batch as from a Source
    denoiser: params -> Denoise, a value; the condition is int32[b] labels or None
    null:     the label that means "none"; None where the model takes no labels
    """

    init: Callable
    loss: Callable
    denoiser: Callable
    null: int | None
