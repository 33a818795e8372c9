"""Seconds, FLOPs and memory of compiled programs.

Calls are timed when they are warm, and in several runs, since machines are noisy. FLOPs
are XLA's own count before optimisation. A rate is compared with `matmul_rate`, which
is measured, and with `peak_rate`, which the maker states.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.train import parallel

# TFLOP/s of dense bfloat16 products, by the beginning of a device's kind. Sources: data
# sheets of NVIDIA (half of its figures "with sparsity") and Google Cloud's TPU pages.
BFLOAT16_PEAKS = {
    "NVIDIA A100": 312,
    "NVIDIA H100": 989,
    "NVIDIA H100 NVL": 835,
    "NVIDIA H100 PCIe": 756,
    "NVIDIA H200": 989,
    "NVIDIA H200 NVL": 835,
    "NVIDIA L4": 121,
    "NVIDIA L40": 181,
    "NVIDIA L40S": 362,
    "TPU v4": 275,
    "TPU v5 lite": 197,
    "TPU v5p": 459,
    "TPU v6 lite": 918,
}


@dataclass(frozen=True)
class Spread:
    """The times of several runs in short."""

    median: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        return f"{self.median:.4g} (of {self.runs}: {self.low:.4g} to {self.high:.4g})"


def spread(times: Any) -> Spread:
    """The Spread of times f[n]."""
    low, high = float(np.min(times)), float(np.max(times))
    return Spread(float(np.median(times)), low, high, len(times))


def measure(call: Callable[[], Any], num_runs: int) -> tuple[float, list[float]]:
    """Seconds of the first call, and seconds per call in each of num_runs warm runs.

    A run is one call, or as many as take about a second.
    """
    start = time.perf_counter()
    jax.block_until_ready(call())
    first = time.perf_counter() - start
    start = time.perf_counter()
    jax.block_until_ready(call())
    calls = max(1, round(1.0 / (time.perf_counter() - start)))
    times = []
    for _ in range(num_runs):
        start = time.perf_counter()
        for _ in range(calls):
            last = call()
        jax.block_until_ready(last)
        times.append((time.perf_counter() - start) / calls)
    return first, times


def count_flops(f: Callable, *args: Any) -> float:
    """XLA's count for one call, before optimisation; 0 if it gives none.

    f is lowered for the CPU, whatever the arrays are on: programs for a GPU have no
    count, and one in which cuDNN does the attention hides its products.
    """
    shapes = jax.eval_shape(lambda *args: args, *args)
    try:
        device = jax.devices("cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS leaves the CPU out
        return 0.0
    with jax.default_device(device):
        return (jax.jit(f).lower(*shapes).cost_analysis() or {}).get("flops", 0.0)


def peak_rate(dtype: str) -> float:
    """FLOP/s of dense matrix products on all local devices, by their kind's data sheet.

    0 for kinds that are not in the table, and for other precisions than bfloat16.
    """
    devices = jax.local_devices()
    kind = devices[0].device_kind
    # by whole words: an "L40" is no "L4"
    fits = [name for name in BFLOAT16_PEAKS if f"{kind} ".startswith(f"{name} ")]
    if dtype != "bfloat16" or not fits:
        return 0.0
    return len(devices) * 1e12 * BFLOAT16_PEAKS[max(fits, key=len)]


def matmul_rate(dtype: str) -> float:
    """The best rate of large matrix products on all local devices together, FLOP/s."""
    devices = jax.local_devices()
    n = 1536 if devices[0].platform == "cpu" else 8192
    a = jnp.ones((len(devices), n, n), dtype)
    times_itself = parallel.pmap_map(lambda m: m @ m, devices, (True,))
    _, times = measure(lambda: times_itself(a), 5)
    return len(devices) * 2 * n**3 / min(times)


def program_memory(compiled: Any) -> dict[str, float]:
    """{title: MiB} of one device: arguments, outputs that do not reuse an argument's
    buffer, and temporary buffers; {} where the platform does not count.
    """
    counts = compiled.memory_analysis()
    if not counts:
        return {}
    size = counts.argument_size_in_bytes + counts.temp_size_in_bytes
    size += counts.output_size_in_bytes - counts.alias_size_in_bytes
    return {"memory of the program, MiB": size / 2**20}


def peak_memory() -> dict[str, float]:
    """{title: MiB}: of the first device, or of the process if devices do not count."""
    stats = jax.local_devices()[0].memory_stats()
    if stats:
        return {"peak device memory, MiB": stats["peak_bytes_in_use"] / 2**20}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak process memory, MiB": peak / 2**10}
