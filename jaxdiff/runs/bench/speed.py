"""Measurements: the training step, the sampler, and Iris beside a PyTorch program.

Warm, several runs, the median first: machines are noisy. FLOPs are XLA's own count of
one step before optimisation; the share is of the rate that this device itself reaches
in large matrix products, measured in the same run.
"""

import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import require
from jaxdiff.data.batches import batch_at
from jaxdiff.data.layout import decode
from jaxdiff.metrics.two_sample import (
    as_features,
    train_on_generated,
    two_sample_accuracy,
)
from jaxdiff.runs.sampler import even_labels, make_sampler, num_asked
from jaxdiff.runs.train import loop as train
from jaxdiff.train import parallel
from jaxdiff.train.ema import primary
from jaxdiff.train.state import num_params
from jaxdiff.train.step import make_train_step

Table = dict[str, Any]

IRIS_PROGRAM = Path(__file__).parents[3] / "launch" / "iris_torch.py"


def bench_step(config: ConfigDict, num_runs: int) -> Table:
    """The pmapped train step on batches of the config's data.

    Each run is about a second of steps; a batch is on the device already.
    """
    run = train.prepare(config, Path("bench-writes-nothing"))
    devices, t = jax.devices(), config.train
    state = parallel.replicate(run.init(), devices)
    steps = np.arange(t.steps_per_call)
    batch = batch_at(run.source, steps, batch_size=t.batch_size, seed=config.seed)
    flops = _step_flops(config, run, state, jax.tree.map(lambda a: a[:1], batch))
    batch = parallel.shard(batch, len(devices), axis=1)
    key = jax.random.key(config.seed)
    box = [state]

    def call():
        box[0], metrics = run.step(box[0], batch, key)
        return metrics

    compile_seconds, times = measure(call, num_runs)
    times = np.array(times) / t.steps_per_call
    return {
        **_machine(config, num_params(box[0].params)),
        "batch size": t.batch_size,
        "ms per step": _spread(times * 1e3),
        "examples per second": t.batch_size / np.median(times),
        **_rates(config, flops, np.median(times)),
        "compile and first call, s": compile_seconds,
        **_memory(),
    }


def bench_sample(config: ConfigDict, num_runs: int) -> Table:
    """The sampler as launch.sample calls it, on one batch of sampler.batch_size."""
    run = train.prepare(config, Path("bench-writes-nothing"))
    sampler = make_sampler(config, run.source, run.task)
    calls = sampler.calls()
    params, num = run.init().params, config.sampler.batch_size
    labels = even_labels(num, num_asked(config, run.source))

    def call():
        return sampler.draw(params, config.seed, np.arange(num), labels)

    compile_seconds, times = measure(call, num_runs)
    seconds = float(np.median(times))
    denoise = sampler.wrap(run.task.model(params))
    x = jnp.zeros((num, *run.source.shape))
    some = None if labels is None else jnp.asarray(labels)
    cost = jax.jit(lambda d, *a: d(*a).x0).lower(denoise, x, jnp.ones(()), some)
    flops = (cost.cost_analysis() or {}).get("flops", 0.0) * calls
    return {
        **_machine(config, num_params(params)),
        "samples": num,
        "network calls each": calls,
        "seconds": _spread(np.array(times)),
        "samples per second": num / seconds,
        "ms per network call": 1e3 * seconds / calls,
        **_rates(config, flops, seconds),
        "compile and first call, s": compile_seconds,
        **_memory(),
    }


def bench_iris(config: ConfigDict, num_seeds: int, torch_python: str) -> list[Table]:
    """Train and sample 150 rows, ours and the PyTorch program in turn, seed by seed.

    Timed on both sides: from the data in memory to the samples on the host, compiling
    included, imports left out. Generated rows are judged as they come and rounded to
    the data's own tenths: a forest sees at once that 5.1034 was never measured.
    """
    said = subprocess.run(
        [torch_python, "-c", "import torch, sklearn"], capture_output=True, text=True
    )
    require(
        said.returncode == 0,
        f"--torch_python {torch_python} cannot import torch and scikit-learn; "
        "pip install torch scikit-learn there",
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(num_seeds):
            rows.append(_ours(config, seed, Path(folder) / f"ours{seed}"))
            rows.append(_theirs(torch_python, seed, Path(folder) / f"{seed}.npz"))
    for who in ("jaxdiff", "torch"):
        some = [row for row in rows if row["program"] == who]
        means = {k: float(np.mean([r[k] for r in some])) for k in list(some[0])[2:]}
        rows.append({"program": who, "seed": "mean", **means})
    ours, theirs = rows[-2:]
    rows.append(
        {"program": "ratio", "seed": "", "total s": ours["total s"] / theirs["total s"]}
    )
    return rows


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


def _step_flops(config, run, state, batch):
    tx, _ = build.make_optimizer(config)
    step = make_train_step(run.task.loss, tx, build.make_ema(config), axis=None)
    lowered = jax.jit(step).lower(state, batch, jax.random.key(0))
    return (lowered.cost_analysis() or {}).get("flops", 0.0)


def _rates(config, flops, seconds):
    rate = matmul_rate(config.model.dtype)
    return {
        "GFLOP (XLA)": flops / 1e9,
        "GFLOP/s": flops / seconds / 1e9,
        "matmul GFLOP/s here": rate / 1e9,
        "share of it, %": 100 * flops / seconds / rate,
    }


def _machine(config, params):
    devices = jax.devices()
    return {
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "jax": jax.__version__,
        "dtype": config.model.dtype,
        "parameters": params,
    }


def _memory():
    stats = jax.local_devices()[0].memory_stats()
    if stats:
        return {"peak device memory, MiB": stats["peak_bytes_in_use"] / 2**20}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak process memory, MiB": peak / 2**10}


def _spread(times):
    low, high = np.min(times), np.max(times)
    return f"{np.median(times):.4g} (of {len(times)}: {low:.4g} to {high:.4g})"


def _ours(config, seed, workdir):
    config = config.copy_and_resolve_references()
    config.seed = seed
    start = time.perf_counter()
    run = train.prepare(config, workdir)
    sampler = make_sampler(config, run.source, run.task)
    state = train.fit(run)
    middle = time.perf_counter()
    x = sampler.draw(primary(state.ema), seed, np.arange(150), None)
    seconds = middle - start, time.perf_counter() - middle
    return _scored("jaxdiff", seed, seconds, run.source, x)


def _theirs(python, seed, out):
    command = [python, str(IRIS_PROGRAM), str(out), str(seed)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    times = json.loads(said.stdout.splitlines()[-1])
    source = build.make_source(ConfigDict({"data": {"name": "iris"}}))
    seconds = times["train"], times["sample"]
    return _scored("torch", seed, seconds, source, np.load(out)["x"])


def _scored(program, seed, seconds, source, x):
    layout = source.layout
    real, rounded, exact = as_features(
        decode(layout, source[np.arange(len(source))]["x"]),
        decode(layout, x),
        decode(layout, x, rounded=False),
    )
    return {
        "program": program,
        "seed": seed,
        "train s": seconds[0],
        "sample s": seconds[1],
        "total s": sum(seconds),
        "two-sample": two_sample_accuracy(real, rounded),
        "not rounded": two_sample_accuracy(real, exact),
        "train on generated": train_on_generated(
            rounded[:, :-1], rounded[:, -1], real[:, :-1], real[:, -1]
        ),
    }
