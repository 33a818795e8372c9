"""Initialisers that flax does not have."""

import math

import jax
from flax.linen.initializers import Initializer

__all__ = ["fan_in_uniform"]


def fan_in_uniform(fan_in: int) -> Initializer:
    """Uniform in +-1 / sqrt(fan_in), for weights *and* biases: PyTorch's default.

    flax initialises a bias from its shape alone, which does not determine fan_in.

    Args: fan_in: kernel height * kernel width * input channels.
    """
    bound = 1.0 / math.sqrt(fan_in)

    def init(key, shape, dtype="float32", out_sharding=None):
        del out_sharding
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init
