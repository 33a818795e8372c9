"""Measurements of speed: the training step and the sampler.

Warm, several runs, the median first: machines are noisy. FLOPs are XLA's own count of
one step before optimisation, and shares are of two rates: what this device itself
reaches in large matrix products in the same run, and, where its kind is known, the peak
of its data sheet.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import PyTree, require
from jaxdiff.data.batches import batch_at
from jaxdiff.runs.bench import peers
from jaxdiff.runs.train.setup import Run, prepare, step_flops
from jaxdiff.train import parallel, timing
from jaxdiff.train.state import num_params

Row = dict[str, Any]


def bench_step(config: ConfigDict, num_runs: int, against: str, python: str) -> Row:
    """The pmapped training step on batches of the config's data.

    Each run is about a second of steps; a batch is on the device already.
    against: a name of peers.PEERS, also timed, in turn, by `python`; or "".
    Errors:  ValueError where the peer does not fit.
    """
    run = prepared("step", config, against, python)
    devices, t = jax.devices(), config.train
    state = parallel.replicate(run.init(), devices)
    steps, source = np.arange(t.steps_per_call), run.experiment.source
    batch = batch_at(source, steps, batch_size=t.batch_size, seed=config.seed)
    flops = step_flops(run)
    batch = parallel.shard(batch, len(devices), axis=1)
    key = jax.random.key(config.seed)
    start = time.perf_counter()
    compiled = run.step.lower(state, batch, key).compile()
    seconds = time.perf_counter() - start
    box = [state]

    def call():
        box[0], metrics = run.step(box[0], batch, key)
        return metrics

    _, times = timing.measure(call, num_runs)
    memory = timing.program_memory(compiled) | timing.peak_memory()
    params = box[0].params
    other = _beside(run, "step", call, params, num_runs, against, python)
    times = np.array(times) / t.steps_per_call
    return {
        **_machine(config, params),
        "batch size": t.batch_size,
        "ms per step": timing.spread(1e3 * times),
        "examples per second": t.batch_size / np.median(times),
        **_rates(config, flops, float(np.median(times))),
        "compile, s": seconds,
        **memory,
        **other,
    }


def bench_forward(config: ConfigDict, num_runs: int, against: str, python: str) -> Row:
    """One evaluation of the network on train.batch_size examples, over all devices, as
    the sampler does it. Args: bench_step's.

    Errors: ValueError for tasks other than diffusion, and as bench_step's.
    """
    run = prepared("forward", config, against, python)
    devices, params, num = jax.devices(), run.init().params, config.train.batch_size
    cond = jax.tree.map(jnp.asarray, run.experiment.conditions(num))
    batch = jnp.zeros((num, *run.experiment.source.shape)), jnp.full(num, 0.5), cond
    model = parallel.replicate(run.experiment.task.model(params), devices)

    def estimate(denoise, x, t, cond):
        return denoise(x, t, cond).x0

    evaluate = parallel.pmap_map(estimate, devices, (False, True, True, True))
    args = model, *parallel.shard(batch, len(devices))
    start = time.perf_counter()
    compiled = evaluate.lower(*args).compile()
    seconds = time.perf_counter() - start

    call = partial(evaluate, *args)
    _, times = timing.measure(call, num_runs)
    memory = timing.program_memory(compiled) | timing.peak_memory()
    other = _beside(run, "forward", call, params, num_runs, against, python)
    flops = timing.count_flops(estimate, model, *batch)
    return {
        **_machine(config, params),
        "batch size": num,
        "ms": timing.spread(1e3 * np.array(times)),
        **_rates(config, flops, float(np.median(times))),
        "compile, s": seconds,
        **memory,
        **other,
    }


def bench_sample(config: ConfigDict, num_runs: int, against: str, python: str) -> Row:
    """The sampler as launch.sample calls it, on one batch of sampler.batch_size.

    Args:   bench_step's.
    Errors: ValueError for an upsampler: part of its time is its base's. bench_step's.
    """
    run = prepared("sample", config, against, python)
    experiment = run.experiment
    sampler, params = experiment.sampler(), run.init().params
    num, nfe = config.sampler.batch_size, sampler.nfe()
    cond = experiment.conditions(num)

    def call():
        return sampler.draw(params, config.seed, np.arange(num), cond)

    first, times = timing.measure(call, num_runs)
    memory = timing.peak_memory()
    other = _beside(run, "sample", call, params, num_runs, against, python)
    seconds = float(np.median(times))
    x, t = jnp.zeros((num, *experiment.source.shape)), jnp.ones(())
    args = sampler.shared(params).denoise, x, t, jax.tree.map(jnp.asarray, cond)
    flops = timing.count_flops(lambda denoise, *a: denoise(*a).x0, *args) * nfe
    return {
        **_machine(config, params),
        "samples": num,
        "NFE a sample": nfe,
        "seconds": timing.spread(times),
        "samples per second": num / seconds,
        "ms per NFE": 1e3 * seconds / nfe,
        **_rates(config, flops, seconds),
        "compile and first call, s": first,
        **memory,
        **other,
    }


def prepared(kind: str, config: ConfigDict, against: str = "", python: str = "") -> Run:
    """The run that is measured. Errors: ValueError, as of bench_KIND."""
    require(
        kind == "step" or config.task == "diffusion",
        f"launch.bench {kind} is for task='diffusion', and this is {config.task!r}",
    )
    if against:
        peers.check(against, python, config)
    run = prepare(config, None)
    require(
        kind != "sample" or not run.experiment.is_upsampler,
        "launch.bench sample is for models that make images by themselves, not for an "
        "upsampler; measure its base",
    )
    return run


def _beside(
    run: Run,
    what: str,
    call: Callable[[], Any],
    params: PyTree,
    num_runs: int,
    against: str,
    python: str,
) -> Row:
    """The same work by a peer; nothing without one."""
    if not against:
        return {}
    config, source = run.experiment.config, run.experiment.source
    work = peers.work_of(against, what, config, source)
    calls = config.train.steps_per_call if what == "step" else 1
    with peers.started(against, python, work) as peer:
        return peers.in_turn(call, peer, num_params(params), num_runs, calls)


def _rates(config: ConfigDict, flops: float, seconds: float) -> Row:
    dtype = config.model.dtype
    rate, peak = timing.matmul_rate(dtype), timing.peak_rate(dtype)
    of_peak = {"share of the peak, %": 100 * flops / seconds / peak} if peak else {}
    return {
        "GFLOP (XLA)": flops / 1e9,
        "GFLOP/s": flops / seconds / 1e9,
        "matmul GFLOP/s here": rate / 1e9,
        "share of it, %": 100 * flops / seconds / rate,
        **of_peak,
    }


def _machine(config: ConfigDict, params: PyTree) -> Row:
    devices = jax.devices()
    return {
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "jax": jax.__version__,
        "dtype": config.model.dtype,
        "parameters": num_params(params),
    }
