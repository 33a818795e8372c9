"""What a run would take: parameters, data, memory and arithmetic, without a step."""

import time
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxdiff import schema
from jaxdiff.arrays import PyTree
from jaxdiff.runs.train.setup import Run, first_batch, step_flops
from jaxdiff.train import parallel
from jaxdiff.train.state import num_params

Row = dict[str, Any]


def report(run: Run) -> dict[str, Row]:
    """{title: {name: figure}}. The step is compiled as training compiles it, and not
    executed; nothing is written.
    """
    config, state = run.experiment.config, jax.eval_shape(run.init)
    memory, seconds = _memory(run, state)
    return {
        "parameters": {**_by_module(state.params), "all": num_params(state.params)},
        "data": _data(run),
        "memory of a device, MiB": memory,
        "step": {
            "devices": jax.device_count(),
            "GFLOP (XLA), of all devices": step_flops(run) / 1e9,
            "seconds to compile, or to read": seconds,
        },
        "fields that differ from the defaults": changed(config),
    }


def changed(config: ConfigDict) -> Row:
    """{field: value} of those that are not at their default."""
    defaults = schema.flat(schema.get_config())
    return {k: v for k, v in schema.flat(config).items() if v != defaults[k]}


def _by_module(params: PyTree) -> dict[str, int]:
    """{module at the top of the tree: its number of parameters}"""
    sizes: dict[str, int] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = jax.tree_util.keystr(path, simple=True, separator="/")
        top = names.removeprefix("params/").partition("/")[0]
        sizes[top] = sizes.get(top, 0) + leaf.size
    return sizes


def _data(run: Run) -> Row:
    source, t = run.experiment.source, run.experiment.config.train
    epoch = len(source) / t.batch_size
    return {
        "examples": len(source),
        "shape": " x ".join(map(str, source.shape)),
        "steps an epoch": epoch,
        "epochs": t.num_steps / epoch,
    }


def _memory(run: Run, state: PyTree) -> tuple[Row, float]:
    """MiB of the parts, from the compiled program, and the seconds of compiling it."""
    batch = first_batch(run, run.experiment.config.train.steps_per_call)
    batch = parallel.shard(batch, jax.device_count(), axis=1)
    start = time.perf_counter()
    compiled = run.step.lower(state, batch, jax.random.key(0)).compile()
    seconds = time.perf_counter() - start
    parts = {
        "parameters": _bytes(state.params),
        "averages": _bytes(state.ema),
        "optimiser state": _bytes(state.opt_state),
        "frozen arrays": _bytes(run.experiment.task.frozen),
        "batch": _bytes(batch) / jax.device_count(),
    }
    counts = compiled.memory_analysis()
    if counts:  # not every platform counts
        parts["activations, gradients"] = counts.temp_size_in_bytes
        copied = counts.output_size_in_bytes - counts.alias_size_in_bytes
        parts["results not in place"] = copied
    parts["all"] = sum(parts.values())
    return {name: size / 2**20 for name, size in parts.items() if size}, seconds


def _bytes(tree: PyTree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
