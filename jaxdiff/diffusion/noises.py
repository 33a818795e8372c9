"""The noise that is mixed in. Each name in `__all__` can be chosen by a config."""

from collections.abc import Callable

import jax
from jax.tree_util import Partial

from jaxdiff.arrays import Array

__all__ = ["normal", "uniform"]

Noise = Callable[..., Array]  # (key, shape, dtype) -> f[shape]


def normal() -> Noise:
    """z ~ N(0, 1) in every value: what all the theory is about."""
    return Partial(jax.random.normal)


def uniform() -> Noise:
    """z ~ U[0, 1) in every value, for data in [0, 1]: the linear-mix model's."""
    return Partial(jax.random.uniform)
