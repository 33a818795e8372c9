"""One network against several: equal sizes, and losses that are those of training."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.data import iris
from jaxdiff.rng import batch_keys
from jaxdiff.runs.bench import networks
from jaxdiff.runs.train import setup
from jaxdiff.train.step import Context
from tests.runs.conftest import IMAGES, tiny_config


def small():
    config = importlib.import_module("configs.iris").get_config("smoke")
    config.model.update({"hidden": 16, "num_blocks": 1})
    config.sampler.num_steps = 3
    return config


@pytest.mark.parametrize("num", [2, 10])
def test_the_sizes_are_equal(num):
    config = small()
    config.model.hidden = 64
    sizes = networks.equal_sizes(config, iris.make(), num)
    for number, (w, size) in sizes.items():
        # by hand: seven columns in and out; three pairs of layers with a norm between
        layers = [(7, w), (w, w), (w, w), (w, w), (w, w), (w, w), (w, 7)]
        weights = sum(a * b + b for a, b in layers) + 2 * 2 * w
        assert size == number * weights
    assert abs(sizes[num][1] / sizes[1][1] - 1) <= networks.CLOSE
    assert abs(sizes[1][0] - 64) <= 16


@pytest.mark.parametrize(("goal", "width"), [(0, 4), (99, 10), (111, 10), (10**6, 32)])
def test_the_nearest_width(goal, width):
    assert networks.nearest(lambda w: w * w, goal, 32) == width


def test_the_loss_is_that_of_training():
    """Both are means over t and noise, of the same function of the parameters."""
    config = small()
    config.diffusion.experts = 3
    run = setup.prepare(config, None)
    params, source = run.init().params, run.experiment.source
    t, losses = networks.loss_by_time(run, params, source)
    assert len(t) == len(losses) == networks.TIMES and (np.diff(t) > 0).all()
    index = np.arange(150).repeat(20)
    keys = batch_keys(jax.random.key(1), jnp.arange(len(index)), len(index))
    context = Context(jnp.zeros((), jnp.int32), None, None)
    loss, _ = jax.jit(run.experiment.task.loss)(params, keys, source[index], context)
    np.testing.assert_allclose(losses.mean(), loss.mean(), rtol=0.03)


def test_the_sentence_is_what_the_numbers_support():
    one = [{"loss_at_t": np.array([1.0, 3.0])}, {"loss_at_t": np.array([2.0, 2.0])}]
    half = [{"loss_at_t": v["loss_at_t"] / 2} for v in one]
    mixed = [{"loss_at_t": one[0]["loss_at_t"] * 1.1}, one[1]]
    names = ("one network", "4 networks", "one network, longer", "4 networks, longer")
    text = networks.sentence(dict(zip(names, (one, half, one, mixed), strict=True)))
    assert "of 4 networks is 50.0% ± 0.0% below that of one network" in text
    assert "it is within its error (+5.0% ± 5.0%) of that of one" in text


def test_rows_numbers_and_picture(tmp_path):
    config = small()
    config.diffusion.experts, config.train.num_evaluate = 2, 20
    rows = networks.bench_networks(config, 2, tmp_path)
    assert [row["model"] for row in rows] == [
        *("one network", "2 networks"),
        *("one network, 2 x training", "2 networks, 2 x training"),
    ]
    assert all("±" in row["sliced Wasserstein"] for row in rows)
    numbers = json.loads((tmp_path / "networks.json").read_text())
    assert numbers["edges"] == [pytest.approx(0.5001)]
    longer = numbers["models"]["2 networks, 2 x training"]["seeds"]
    assert len(longer) == 2 and len(longer[0]["loss_at_t"]) == networks.TIMES
    assert (tmp_path / "networks.png").stat().st_size > 5000


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--num_runs must be at least 2"):
        networks.bench_networks(small(), 1, tmp_path)
    config = tiny_config(**IMAGES, model__name="basic_unet")
    with pytest.raises(ValueError, match="'basic_unet' takes no width"):
        networks.bench_networks(config, 2, tmp_path)
