"""Measurements of speed: the training step and the sampler.

Warm, several runs, the median first: machines are noisy. FLOPs are XLA's own count of
one step before optimisation; the share is of the rate that this device itself reaches
in large matrix products, measured in the same run.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import PyTree, require
from jaxdiff.data.batches import batch_at
from jaxdiff.runs.train.setup import Run, prepare
from jaxdiff.train import parallel
from jaxdiff.train.state import TrainState, num_params
from jaxdiff.train.step import make_train_step

Row = dict[str, Any]


def bench_step(config: ConfigDict, num_runs: int) -> Row:
    """The pmapped training step on batches of the config's data.

    Each run is about a second of steps; a batch is on the device already.
    """
    run = prepare(config, None)
    devices, t = jax.devices(), config.train
    state = parallel.replicate(run.init(), devices)
    steps, source = np.arange(t.steps_per_call), run.experiment.source
    batch = batch_at(source, steps, batch_size=t.batch_size, seed=config.seed)
    flops = _step_flops(run, state, jax.tree.map(lambda a: a[:1], batch))
    batch = parallel.shard(batch, len(devices), axis=1)
    key = jax.random.key(config.seed)
    box = [state]

    def call():
        box[0], metrics = run.step(box[0], batch, key)
        return metrics

    compile_seconds, times = measure(call, num_runs)
    times = np.array(times) / t.steps_per_call
    return {
        **_machine(config, box[0].params),
        "batch size": t.batch_size,
        "ms per step": _spread(times * 1e3),
        "examples per second": t.batch_size / np.median(times),
        **_rates(config, flops, float(np.median(times))),
        "compile and first call, s": compile_seconds,
        **_memory(),
    }


def bench_sample(config: ConfigDict, num_runs: int) -> Row:
    """The sampler as launch.sample calls it, on one batch of sampler.batch_size.

    Errors: ValueError for an upsampler: part of its time is its base's.
    """
    run = prepare(config, None)
    experiment = run.experiment
    require(
        not experiment.is_upsampler,
        "launch.bench sample is for models that make images by themselves, not for an "
        "upsampler; measure its base",
    )
    sampler, params = experiment.sampler(), run.init().params
    num, nfe = config.sampler.batch_size, sampler.nfe()
    cond = experiment.conditions(num)

    def call():
        return sampler.draw(params, config.seed, np.arange(num), cond)

    compile_seconds, times = measure(call, num_runs)
    seconds = float(np.median(times))
    x = jnp.zeros((num, *experiment.source.shape))
    args = (
        sampler.shared(params).denoise,
        x,
        jnp.ones(()),
        jax.tree.map(jnp.asarray, cond),
    )
    flops = _flops(lambda denoise, *a: denoise(*a).x0, *args) * nfe
    return {
        **_machine(config, params),
        "samples": num,
        "NFE a sample": nfe,
        "seconds": _spread(np.array(times)),
        "samples per second": num / seconds,
        "ms per NFE": 1e3 * seconds / nfe,
        **_rates(config, flops, seconds),
        "compile and first call, s": compile_seconds,
        **_memory(),
    }


def measure(call: Callable[[], Any], num_runs: int) -> tuple[float, list[float]]:
    """Seconds of the first call, and of one call in each of num_runs warm runs."""
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


def matmul_rate(dtype: str) -> float:
    """FLOP/s of large matrix products on all local devices together: the best."""
    devices = jax.local_devices()
    n = 1536 if devices[0].platform == "cpu" else 8192
    a = jnp.ones((len(devices), n, n), dtype)
    times_itself = parallel.pmap_map(lambda m: m @ m, devices, (True,))
    _, times = measure(lambda: times_itself(a), 5)
    return len(devices) * 2 * n**3 / min(times)


def _step_flops(run: Run, state: TrainState, batch: PyTree) -> float:
    """Of one step on one device."""
    config = run.experiment.config
    tx, _ = build.make_optimizer(config)
    decay, task = build.make_ema(config), run.experiment.task
    step = make_train_step(task.loss, tx, decay, axis=None)
    return _flops(step, state, batch, jax.random.key(0), task.frozen)


def _flops(f: Callable, *args: Any) -> float:
    """XLA's count for one call, before optimisation; 0 where it gives none."""
    return (jax.jit(f).lower(*args).cost_analysis() or {}).get("flops", 0.0)


def _rates(config: ConfigDict, flops: float, seconds: float) -> Row:
    rate = matmul_rate(config.model.dtype)
    return {
        "GFLOP (XLA)": flops / 1e9,
        "GFLOP/s": flops / seconds / 1e9,
        "matmul GFLOP/s here": rate / 1e9,
        "share of it, %": 100 * flops / seconds / rate,
    }


def _machine(config: ConfigDict, params: PyTree) -> Row:
    devices = jax.devices()
    return {
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "jax": jax.__version__,
        "dtype": config.model.dtype,
        "parameters": num_params(params),
    }


def _memory() -> Row:
    stats = jax.local_devices()[0].memory_stats()
    if stats:
        return {"peak device memory, MiB": stats["peak_bytes_in_use"] / 2**20}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak process memory, MiB": peak / 2**10}


def _spread(times: np.ndarray) -> str:
    low, high = np.min(times), np.max(times)
    return f"{np.median(times):.4g} (of {len(times)}: {low:.4g} to {high:.4g})"
