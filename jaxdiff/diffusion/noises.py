"""The noise that is mixed in. Each name in `__all__` can be chosen by a config."""

from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Key

__all__ = ["normal", "uniform"]

# (key, shape, dtype) -> z f[shape]
Noise = Callable[[Key[Array, ""], tuple[int, ...], Any], Array]


def normal() -> Noise:
    """z ~ N(0, 1) in every value, which all the theory is about."""
    return Partial(jax.random.normal)


def uniform() -> Noise:
    """z ~ U[0, 1) in every value, for data in [0, 1]: the linear-mix model's."""
    return Partial(jax.random.uniform)
