"""Optimisers from optax. Each name in `__all__` can be chosen by a config."""

import optax

from jaxdiff.arrays import require
from jaxdiff.train.lr_schedules import LrSchedule

__all__ = ["adam", "adamw"]

Optimizer = optax.GradientTransformation


def adam(
    lr: LrSchedule, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Optimizer:
    """Adam.

    Source: Kingma & Ba 2015, arXiv:1412.6980.
    """
    return optax.adam(lr, b1, b2, eps)


def adamw(
    lr: LrSchedule,
    weight_decay: float = 0.01,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Optimizer:
    """Adam with decoupled weight decay.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """
    return optax.adamw(lr, b1, b2, eps, weight_decay=weight_decay)


def clipped(tx: Optimizer, max_norm: float) -> Optimizer:
    """Scale gradients to a global norm of at most max_norm; 0 leaves them as they are.

    Errors: ValueError if max_norm < 0.
    """
    require(max_norm >= 0, f"clip_norm must be >= 0 (0 is off), got {max_norm=}")
    return optax.chain(optax.clip_by_global_norm(max_norm), tx) if max_norm else tx
