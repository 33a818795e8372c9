"""What a benchmark counts, by hand."""

import importlib

import jax
import pytest

from jaxdiff.runs.bench import speed
from jaxdiff.runs.experiment import Experiment
from jaxdiff.train import timing


@pytest.fixture(autouse=True)
def rate(monkeypatch):
    """What matrix products reach here, which takes seconds of them to measure."""
    monkeypatch.setattr(timing, "matmul_rate", lambda dtype: 2e9)


def test_step_reports_the_matrix_products_of_an_mlp():
    config = importlib.import_module("configs.iris").get_config("smoke")
    table = speed.bench_step(config, 1, "", "")
    products = sum(
        a.size for a in jax.tree.leaves(_iris_kernels(config)) if a.ndim == 2
    )
    # forward and the two backward products of 4 rows: 2 FLOPs a weight each, but for
    # the first layers, whose inputs need no gradient; elementwise work comes on top
    by_hand = 6 * 4 * products
    assert 0.9 * by_hand < 1e9 * table["GFLOP (XLA)"] < 2.5 * by_hand + 30 * products
    assert table["share of it, %"] == pytest.approx(100 * table["GFLOP/s"] / 2)


def test_sample_reports_the_nfe_and_the_matrix_products_of_an_mlp():
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.sampler.solver = "heun"
    config.sampler.num_steps = 3
    table = speed.bench_sample(config, 1, "", "")
    nfe = 2 * 3 - 1  # the last step has no second half
    assert table["NFE a sample"] == nfe and table["samples"] == 4
    products = sum(
        a.size for a in jax.tree.leaves(_iris_kernels(config)) if a.ndim == 2
    )
    by_hand = 2 * 4 * products * nfe
    assert 0.9 * by_hand < 1e9 * table["GFLOP (XLA)"] < 2.5 * by_hand


def test_the_sampler_of_an_upsampler_is_refused():
    config = importlib.import_module("configs.fashion_cascade").get_config("smoke")
    with pytest.raises(ValueError, match="not for an upsampler"):
        speed.bench_sample(config, 1, "", "")


def _iris_kernels(config):
    return jax.eval_shape(Experiment(config).task.init, jax.random.key(0))
