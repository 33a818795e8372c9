"""The chain of small noises against q(x_t | x0) in closed form, and its picture."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import base
from jaxdiff import rng
from jaxdiff.diffusion import schedules
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.plot import run, spread
from jaxdiff.runs.plot.spec import PlotRequest


def request_of(**diffusion: str) -> PlotRequest:
    config: ConfigDict = base.get_config()
    config.diffusion.update(diffusion)
    return PlotRequest(Experiment(config), num=400)


@pytest.mark.parametrize("name", ["linear_beta", "linear_mix", "edm"])
def test_the_chain_reaches_the_closed_form(name):
    schedule, num = getattr(schedules, name)(), 4000
    ts, start = jnp.linspace(0.0, 1.0, 41), jnp.array([1.5, -1.0])
    keys = rng.split_by(jax.random.key(1), jnp.arange(num))
    x = np.asarray(spread.walk(schedule, ts, start, keys), np.float64)
    chex.assert_shape(x, (41, num, 2))
    assert (x[0] == np.array([1.5, -1.0])).all()
    for k in (10, 40):
        sigma = float(schedule.sigma(ts[k]))
        z = (x[k] - float(schedule.alpha(ts[k])) * x[0]) / sigma
        # five standard errors, of the mean and of the standard deviation
        assert abs(z.mean(axis=0)).max() < 5 / np.sqrt(num)
        assert abs(z.std(axis=0) - 1).max() < 5 / np.sqrt(2 * num)
    # each step moves from where the walker is, by little noise
    moved = np.abs(x[2] - x[1]).mean() / np.abs(x[40] - x[0]).mean()
    assert moved < 0.3


def test_its_numbers_are_those_of_the_schedule(tmp_path):
    request = request_of(schedule="cosine")
    (path,) = run.draw(request, "spread", tmp_path)
    assert path.stat().st_size > 5000
    numbers = json.loads((tmp_path / "spread.json").read_text())
    t = np.array(numbers["t"])
    np.testing.assert_allclose(numbers["exact_std"], np.sin(np.pi * t / 2), atol=1e-4)
    np.testing.assert_allclose(numbers["std"], numbers["exact_std"], rtol=5 / 40)


def test_noise_that_does_not_stay_normal_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"spread.* is for normal noise.*uniform"):
        run.check(request_of(noise="uniform"), "spread")
