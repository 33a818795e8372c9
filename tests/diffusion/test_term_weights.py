"""The weights of the bound and of losses are the papers'."""

import jax.numpy as jnp
import numpy as np

from jaxdiff import build
from jaxdiff.diffusion.term_weights import compare
from jaxdiff.runs.experiment import Experiment
from tests.runs.conftest import SPECK, tiny_config

STEPS = 100


def weights_of(**changed):
    """t and the weights of a run's config, by the schedule of a DDPM table."""
    fields = {f"diffusion__{k}": v for k, v in changed.items()}
    fields = {"diffusion__schedule": "linear_beta", **SPECK, **fields}
    run, t = Experiment(tiny_config(**fields)), np.linspace(1, 0, STEPS + 1)[:-2]
    objective = build.make_objective(run.config, run.source, run.schedule)
    return run.schedule, t, compare(objective, run.schedule, t, 1 / STEPS)


def test_the_simple_loss_leaves_out_the_weight_of_ddpm():
    """beta^2 / (2 var alpha (1 - alpha_bar)), Ho et al. 2020, eq. 12, var the small."""
    schedule, t, weight = weights_of(prediction="eps", weight="native", times="uniform")
    np.testing.assert_allclose(weight["loss"], 1, rtol=1e-6)
    bar_t, bar_s = (
        np.square(np.float64(schedule.alpha(jnp.float32(time))))
        for time in (t, t - 1 / STEPS)
    )
    beta = 1 - bar_t / bar_s
    small = beta * (1 - bar_s) / (1 - bar_t)
    expected = beta**2 / (2 * small * (1 - beta) * (1 - bar_t))
    np.testing.assert_allclose(weight["bound"], expected / expected.mean(), rtol=1e-2)


def test_the_weight_of_a_loss_has_the_density_of_its_times():
    fields = {"prediction": "eps", "weight": "native"}
    table = weights_of(**fields, times="discrete(num_steps=1000)")[2]["loss"]
    np.testing.assert_allclose(table, 1, rtol=1e-3)
    _, t, weight = weights_of(**fields, times="logit_normal")
    middle = t - 0.5 / STEPS  # the density of logit(t) ~ N(0, 1)
    logit = np.log(middle / (1 - middle))
    density = np.exp(-(logit**2) / 2) / (middle * (1 - middle))
    inner = slice(10, -10)
    expected = density[inner] / density[inner].mean()
    got = weight["loss"][inner] / weight["loss"][inner].mean()
    np.testing.assert_allclose(got, expected, rtol=2e-2)


def test_the_loss_that_is_the_bound_has_its_weights():
    *_, weight = weights_of(prediction="v", weight="elbo", times="uniform")
    inner = slice(5, -20)  # where a step of 1 / 100 is short against its time
    ratio = (weight["bound"] / weight["loss"])[inner]
    assert ratio.std() < 0.15 * ratio.mean()
