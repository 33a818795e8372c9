"""Frechet distance over network calls: how many steps each solver is given for them."""

import json
from dataclasses import replace

import pytest

from jaxdiff.runs.plot import calls as plot_calls
from jaxdiff.runs.plot import run as plot
from tests.runs.conftest import IMAGES, config_of, untrained


@pytest.fixture(scope="module")
def scene(judged, tmp_path_factory):
    config = config_of(**{**IMAGES, "model__name": "speck"})
    folder = tmp_path_factory.mktemp("calls") / "run"
    untrained(config, folder)
    return plot.Scene(config, folder, num=20, judge=judged[0])


@pytest.mark.parametrize(
    ("solver", "most", "steps", "calls"),
    [
        ("ddim", 10, 10, 10),
        ("heun", 10, 5, 9),  # two a step, one in the last
        ("heun", 1, 1, 1),
        ("restart", 5, 3, 5),  # steps too large to go back from
    ],
)
def test_steps_fill_the_calls(scene, solver, most, steps, calls):
    assert plot_calls.steps_for(scene, solver, most) == (steps, calls)


def test_every_solver_is_drawn(scene, tmp_path, monkeypatch):
    solvers = dict.fromkeys(("ddim", "heun", "consistency"))
    monkeypatch.setattr(plot_calls, "members", lambda home: solvers)
    monkeypatch.setattr(plot_calls, "CALLS", (1, 3))
    plot.draw(scene, "calls", tmp_path)
    said = json.loads((tmp_path / "calls.json").read_text())["solvers"]
    assert {*said} == {"ddim", "heun"}
    assert [row["calls"] for row in said["heun"]] == [1, 3]
    # a step to 0 is the same with either
    first = {name: rows[0]["frechet"] for name, rows in said.items()}
    assert first["ddim"] == pytest.approx(first["heun"], rel=1e-4)
    assert said["ddim"][1]["frechet"] != pytest.approx(first["ddim"], rel=1e-3)
    assert (tmp_path / "calls.png").exists()


def test_what_takes_long_is_not_in_all(scene):
    assert "calls" not in plot.check(scene, "all")


def test_it_needs_a_judge(scene):
    with pytest.raises(ValueError, match="needs --judge"):
        plot.check(replace(scene, judge=None), "calls")
