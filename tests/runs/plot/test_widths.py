"""Frechet distance over the averages' width and guidance."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxdiff.metrics import frechet
from jaxdiff.runs.experiment import load
from jaxdiff.runs.plot import calls as plot_calls
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot import widths as plot_widths
from tests.runs.conftest import IMAGES, config_of, untrained


@pytest.fixture(scope="module")
def scene(judged, tmp_path_factory):
    config = config_of(
        **{**IMAGES, "model__name": "speck"}, diffusion__label_dropout=0.2
    )
    config.train.update({"ema_widths": (0.05, 0.1), "snapshot_every": 2})
    folder = tmp_path_factory.mktemp("widths") / "run"
    untrained(config, folder, step=4)
    return plot.Scene(config, folder, num=20, judge=judged[0])


def test_every_width_and_scale_is_drawn(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(plot_widths, "WIDTHS", (0.05, 0.1))
    monkeypatch.setattr(plot_widths, "SCALES", (1.0, 3.0))
    plot.draw(scene, "widths", tmp_path)
    found = np.array(json.loads((tmp_path / "widths.json").read_text())["frechet"])
    assert found.shape == (2, 2) and np.isfinite(found).all()
    # one of them, by the run's sampler alone
    config = scene.config.copy_and_resolve_references()
    config.sampler.update({"ema": 0.1, "guidance": 3.0})
    params = load(scene.workdir, config).params
    labels, index = scene.labels(20), np.arange(20)
    x = scene.sampler_with(guidance=3.0).draw(params, 0, index, labels)
    seen = frechet.fit(plot_calls.features(scene, x))
    one = frechet.distance(seen, plot_calls.fit_real(scene))
    assert found[1, 1] == pytest.approx(one, rel=1e-3)
    assert found[1, 1] != pytest.approx(found[1, 0], rel=1e-3)
    assert (tmp_path / "widths.png").exists()


def test_with_one_average_it_is_a_line_over_guidance(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(plot_widths, "SCALES", (1.0, 3.0))
    config = scene.config.copy_and_resolve_references()
    config.train.update({"ema_widths": (), "snapshot_every": 0})
    untrained(config, tmp_path / "run", step=4)
    one = plot.Scene(config, tmp_path / "run", num=20, judge=scene.judge)
    lines = []
    monkeypatch.setattr(
        plot_widths.curves, "save_lines", lambda *a, **_: lines.append(a)
    )
    plot.draw(one, "widths", tmp_path)
    ((_, named),) = lines
    ((scales, values),) = named.values()
    told = json.loads((tmp_path / "widths.json").read_text())
    assert told["widths"] == [0.0] and [values.tolist()] == told["frechet"]
    assert scales.tolist() == [1.0, 3.0] and values[0] != values[1]


def test_it_is_for_runs_that_have_something_to_compare(scene):
    config = scene.config.copy_and_resolve_references()
    config.train.ema_widths = ()
    config.diffusion.condition = "none"
    one = replace(scene, config=config)
    vars(one)["trained"] = scene.trained._replace(
        task=scene.trained.task._replace(null=None)
    )
    assert "keeps averages of several widths" in plot_widths.misfit(one)
    assert "widths" not in plot.check(scene, "all")
