"""The distribution of eps in x_t = alpha x0 + sigma eps.

Each name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Key

__all__ = ["normal", "uniform"]

# (key, shape, dtype) -> z f[shape]
Noise = Callable[[Key[Array, ""], tuple[int, ...], Any], Array]


def normal() -> Noise:
    """Every value of z is N(0, 1). All of the theory assumes this noise.

    Returns: Noise, (key, shape, dtype) -> z f[shape].
    """
    return Partial(jax.random.normal)


def uniform() -> Noise:
    """Every value of z is U[0, 1), for data in [0, 1], as in the linear-mix model.

    Returns: Noise, (key, shape, dtype) -> z f[shape].
    """
    return Partial(jax.random.uniform)
