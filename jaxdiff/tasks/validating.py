"""The validation loss of a task with noise, see train/validation.py."""

from collections.abc import Callable

from jaxdiff.diffusion.losses import Objective, noised
from jaxdiff.train.step import Loss


def make_validation(loss: Callable, objective: Objective) -> Loss:
    """A loss without the network's dropout, whose metrics have log_snr f32[b].

    Args: loss: a Loss that takes `train` too.  objective: its noise.
    """

    def validation(params, keys, batch, context):
        losses, metrics = loss(params, keys, batch, context, train=False)
        log_snr = noised(keys, batch["x"], objective)[0].log_snr
        return losses, {**metrics, "log_snr": log_snr}

    return validation
