"""The figures of --dry_run, each worked out by hand for a small perceptron."""

import chex
import jax
import pytest

from jaxdiff.runs.train import dry_run, setup
from tests.runs.conftest import tiny_config

MIB = 2**20


def dense(i, o):
    return i * o + o


def test_parameters_data_and_memory():
    """Hidden 8, 2 columns, 2 classes and the null one, batch 8 on four devices."""
    report = dry_run.report(setup.prepare(tiny_config(), None))
    total = (
        dense(8, 8) * 2  # time
        + 3 * 8  # labels
        + dense(2, 8) + 16 + dense(8, 8)  # input
        + dense(8, 8) * 2 + 16  # block: with the norm's scale and shift
        + dense(8, 2)
    )  # fmt: skip
    parameters = report["parameters"]
    assert parameters.pop("all") == total == sum(parameters.values())
    assert parameters["label"] == 3 * 8 and parameters["out"] == dense(8, 2)
    assert report["data"] == {
        "examples": 40,
        "shape": "2",
        "steps an epoch": 5.0,
        "epochs": 8 / 5,
    }
    memory = report["memory of a device, MiB"]
    assert memory["parameters"] == memory["averages"] == 4 * total / MIB
    # Adam's two moments, and at most a few counts
    assert 0 <= memory["optimiser state"] * MIB - 2 * 4 * total <= 64
    assert memory["batch"] == 2 * (2 * 4 + 4) / MIB  # two rows of two, and labels
    assert memory["activations, gradients"] > 0
    chex.assert_trees_all_close(memory.pop("all"), sum(memory.values()))
    assert report["step"]["devices"] == jax.device_count() == 4
    assert report["step"]["seconds to compile, or to read"] > 0


def test_fields_that_differ_are_those_that_were_set():
    config = tiny_config(batch_size=16)
    run = setup.prepare(config, None)
    fields = dry_run.changed(run.experiment.config)
    assert fields["train.batch_size"] == 16 and fields["model.name"] == "mlp"
    assert "seed" not in fields and "train.accumulate" not in fields


@pytest.mark.parametrize("accumulate", [1, 2])
def test_flops_are_those_of_the_products_and_little_more(accumulate):
    """A product of (b, i) and (i, o) takes 2 b i o, and its two gradients as much each;
    where the input is data, or the time, one of these is not needed.
    """
    b, h = 64, 64
    config = tiny_config(model__hidden=h, batch_size=b, accumulate=accumulate)
    products = 2 * h * h + (2 * h + h * h) + 2 * h * h + h * 2
    by_hand = 6 * b * products - 2 * b * (2 * h + h * h)
    assert 1 <= dry_run.step_flops(setup.prepare(config, None)) / by_hand < 1.3
