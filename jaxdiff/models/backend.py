"""For which platform programs are traced."""

import jax

__all__ = ["on_gpu"]


def on_gpu() -> bool:
    """Whether programs traced now are for a GPU, unless they name their platforms."""
    return jax.default_backend() == "gpu"
