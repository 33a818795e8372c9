"""Rules of the whole suite: four host devices, no silent rank promotion, no warnings.

The jaxtyping import hook (pyproject.toml) checks every signature's shapes as it runs.
"""

import gc
import os
from importlib.metadata import version
from pathlib import Path

# Read when JAX is imported, also by the launchers that tests start. Most of the suite's
# time is compiling, so LLVM does not polish. On a busy machine four devices on two
# cores may wait for one another longer than XLA thinks possible (40 seconds); it then
# ends the process. In one part a program takes about half the memory maps.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_collective_call_terminate_timeout_seconds=900 "
    "--xla_cpu_parallel_codegen_split_count=1"
    # later versions do not have it, and need it less
    + " --xla_cpu_use_fusion_emitters=false"
    * version("jax").startswith("0.10."),
)
# Nothing that a user compiled decides a test, and none writes to the user's folder.
os.environ["JAXDIFF_CACHE"] = "0"

import jax
import pytest

# fixtures
from tests.compiling import compilations, traced_once  # noqa: F401
from tests.devices import one_device  # noqa: F401

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")


# Tracing makes much that lives and little that is garbage: looking for it after every
# 700 objects was a tenth of the time of tracing.
gc.set_threshold(20_000, 20, 20)


# Memory maps after which a process forgets its programs; Linux allows it 65,530.
MANY_MAPS = 25_000

# Files of minutes, of few tests each: xdist would begin with the files of most tests,
# and one process would wait for the other to be done with these.
FIRST = (
    "test_configs.py",
    "solvers/test_solvers.py",
    "launch/test_launch_train.py",
    "launch/test_run_mistakes.py",
    "launch/test_launch_plot.py",
    "evaluate/test_run.py",
    "test_style.py",
    "plot/test_run.py",
    "edit/test_run.py",
    "train/test_loop.py",
    "runs/test_latents_run.py",
    "plot/test_quality.py",
)


def pytest_configure(config):
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    def place(item):
        path = item.path.as_posix()
        ends = (i for i, name in enumerate(FIRST) if path.endswith("/" + name))
        return next(ends, len(FIRST))

    items.sort(key=place)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # what was imported stays


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """After a file: a compiled program holds dozens of memory maps, and a process that
    needs more than there are ends in a segmentation fault.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MANY_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def x64():
    """Double precision for one test: orders of convergence drown in float32 noise."""
    with jax.enable_x64(True):
        yield
