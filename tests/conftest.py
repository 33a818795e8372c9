"""Rules of the whole suite: four host devices, no silent rank promotion, no warnings.

The jaxtyping import hook (pyproject.toml) checks every signature's shapes as it runs.
"""

import gc
import os

# Read when JAX is imported, also by the launchers that tests start. Most of the suite's
# time is compiling, so LLVM does not polish. On a busy machine four devices on two
# cores may wait for one another longer than XLA thinks possible (40 seconds); it then
# ends the process.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_collective_call_terminate_timeout_seconds=900",
)

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """After each file: a compiled program holds dozens of memory maps, and a process
    that needs more than Linux allows (65,530) ends in a segmentation fault.
    """
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def x64():
    """Double precision for one test: orders of convergence drown in float32 noise."""
    with jax.enable_x64(True):
        yield
