"""What a benchmark counts; how long it took is nobody's to assert."""

import importlib

import jax
import jax.numpy as jnp
import pytest

from jaxdiff.runs.bench import speed as bench


def test_measure_calls_once_to_compile_and_then_in_warm_runs():
    calls = []
    first, times = bench.measure(lambda: calls.append(jnp.zeros(())), 1)
    assert len(times) == 1
    # one to compile, one to learn its speed, then about a second of them
    assert len(calls) > 3 and first > 0


def test_step_reports_the_matrix_products_of_an_mlp():
    config = importlib.import_module("configs.iris").get_config("smoke")
    table = bench.bench_step(config, 1)
    products = sum(
        a.size for a in jax.tree.leaves(_iris_kernels(config)) if a.ndim == 2
    )
    # forward and the two backward products of 4 rows: 2 FLOPs a weight each, but for
    # the first layers, whose inputs need no gradient; elementwise work comes on top
    by_hand = 6 * 4 * products
    assert 0.9 * by_hand < 1e9 * table["GFLOP (XLA)"] < 2.5 * by_hand + 30 * products


def _iris_kernels(config):
    from jaxdiff import build

    task = build.make_task(config, build.make_source(config))
    return jax.eval_shape(task.init, jax.random.key(0))


def test_a_python_without_torch_is_a_clear_error(tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    config = importlib.import_module("configs.iris").get_config("smoke")
    with pytest.raises(ValueError, match="cannot import torch"):
        bench.bench_iris(config, 1, str(fake))
