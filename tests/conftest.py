"""Rules of the whole suite: four host devices, no silent rank promotion, no warnings.

The jaxtyping import hook (pyproject.toml) checks every signature's shapes as it runs.
"""

import atexit
import os
import shutil
import tempfile

# Read when JAX is imported, also by the launchers that tests start. Most of the suite's
# time is compiling: what is compiled twice is kept, and LLVM does not polish.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    cache = tempfile.mkdtemp(prefix="jaxdiff-tests-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# On a busy machine four devices on two cores may wait for one another longer than XLA
# thinks possible (40 seconds); it then ends the process.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_cpu_collective_call_terminate_timeout_seconds=900",
)

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test: orders of convergence drown in float32 noise."""
    with jax.enable_x64(True):
        yield
