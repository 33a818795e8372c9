"""The terms of the bound: they add up."""

import json

import numpy as np
import pytest

from jaxdiff.runs.evaluate import likelihood
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


def test_models_without_a_bound_are_refused(tmp_path):
    run = untrained(tiny_config(), tmp_path / "run")
    with pytest.raises(ValueError, match="'terms' needs 2 or more examples"):
        plot.draw(PlotRequest(run, num=1), "terms", tmp_path / "out")
    assert not (tmp_path / "out").exists()
