"""Rules of the whole suite: four host devices, no silent rank promotion, no warnings.

The jaxtyping import hook (pyproject.toml) checks every signature's shapes as it runs.
"""

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test: orders of convergence drown in float32 rounding."""
    with jax.enable_x64(True):
        yield
