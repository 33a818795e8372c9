"""The terms of the bound: they add up, and the weights are the papers'."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.runs.evaluate import likelihood
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.plot import bound
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import SPECK, tiny_config, untrained


@pytest.mark.parametrize("changed", [SPECK, {}], ids=["images", "rows"])
def test_the_terms_add_up_to_the_bound_that_evaluate_reports(
    changed, tmp_path, monkeypatch
):
    monkeypatch.setattr(bound, "STEPS", 6)
    run = untrained(tiny_config(**changed), tmp_path / "run")
    plot.draw(PlotRequest(run, num=8, seed=3), "terms", tmp_path / "out")
    numbers = json.loads((tmp_path / "out" / "terms.json").read_text())
    fields = {"num": 8, "steps": 6, "cleanest": 0.0, "seed": 3, "force": False}
    request = likelihood.prepare(
        run, estimates=["discrete"], out=tmp_path / "bpd", **fields
    )
    (row,) = likelihood.run(request)
    assert numbers["bound"]["value"] == pytest.approx(row["bpd"], rel=1e-6)
    assert numbers["bound"]["error"] == pytest.approx(row["error"], rel=1e-6)
    prior, decoder = (numbers[k]["value"] for k in ("prior", "decoder"))
    assert (prior, decoder) == pytest.approx((row["prior"], row["decoder"]), rel=1e-5)
    total = prior + sum(numbers["kl"]) + decoder
    assert total == pytest.approx(row["bpd"], rel=1e-5)
    assert numbers["sum"][-1] + decoder == pytest.approx(total, rel=1e-5)
    assert (np.array(numbers["kl_error"]) > 0).all() and len(numbers["t"]) == 5


def weights_of(**changed):
    """t and the weights of a run's config, by the schedule of a DDPM table."""
    fields = {f"diffusion__{k}": v for k, v in changed.items()}
    fields = {"diffusion__schedule": "linear_beta", **SPECK, **fields}
    run, t = Experiment(tiny_config(**fields)), np.linspace(1, 0, bound.STEPS + 1)[:-2]
    return run.schedule, t, bound.weights(run, t)


def test_the_simple_loss_leaves_out_the_weight_of_ddpm():
    """beta^2 / (2 var alpha (1 - alpha_bar)), Ho et al. 2020, eq. 12, var the small."""
    schedule, t, weight = weights_of(prediction="eps", weight="native", times="uniform")
    np.testing.assert_allclose(weight["loss"], 1, rtol=1e-6)
    bar_t, bar_s = (
        np.square(np.float64(schedule.alpha(jnp.float32(time))))
        for time in (t, t - 1 / bound.STEPS)
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
    middle = t - 0.5 / bound.STEPS  # the density of logit(t) ~ N(0, 1)
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


def test_models_without_a_bound_are_refused(tmp_path):
    run = untrained(tiny_config(), tmp_path / "run")
    with pytest.raises(ValueError, match="'terms' needs 2 or more examples"):
        plot.draw(PlotRequest(run, num=1), "terms", tmp_path / "out")
    assert not (tmp_path / "out").exists()
