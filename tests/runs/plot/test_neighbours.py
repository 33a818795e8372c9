"""Samples beside their nearest training images, and the verdict on them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxdiff.runs.plot import losses, neighbours
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import SPECK, tiny_config, untrained


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """With and without a holdout, of the same images."""
    root = tmp_path_factory.mktemp("neighbours")
    fields = {**SPECK, "data__num_examples": 200}
    held = untrained(tiny_config(**fields, data__holdout=".5"), root / "held")
    return {"held": held, "all": untrained(tiny_config(**fields), root / "all")}


def samples_of(source, num):
    """A stand-in for PlotRequest.draw."""
    return lambda request, n, **fields: source[np.arange(num)]["x"]


def test_training_images_are_copies_and_held_out_ones_are_not(
    runs, tmp_path, monkeypatch, capsys
):
    run = runs["held"]
    sources = {"copies": run.source, "honest": run.source.holdout()}
    for name, source in sources.items():
        monkeypatch.setattr(PlotRequest, "draw", samples_of(source, 40))
        request = PlotRequest(run, num=40, features=None)
        plot.draw(request, "neighbours", tmp_path / name)
        record = json.loads((tmp_path / name / "neighbours.json").read_text())
        assert record["baseline"] == "held-out images"
        assert record["baseline_images"] == len(run.source.holdout())
        assert record["training_images"] == len(run.source)
        pixels = record["pixels"]
        assert pixels["copies"] == (name == "copies")
        assert pixels["verdict"] in capsys.readouterr().out
        nearest = np.array(pixels["distances"])[:, 0]
        if name == "copies":
            assert nearest.max() == 0 and [r[0] for r in pixels["rows"]] == [*range(40)]
        else:
            base = pixels["baseline_distances"]  # in another order
            assert np.isclose(nearest[:, None], base, atol=1e-6).any(1).all()
    assert (tmp_path / "honest/neighbours.png").stat().st_size > 10_000


def test_distances_are_root_mean_squares_of_levels(runs):
    request = PlotRequest(runs["held"])
    space = neighbours.spaces_of(request)["pixels"]
    black, grey = (np.full((1, 8, 8, 1), v, np.uint8) for v in (0, 51))
    assert np.linalg.norm(space(grey) - space(black)) == pytest.approx(0.2)


def test_without_a_holdout_each_training_image_has_another_nearest(runs):
    request = PlotRequest(runs["all"])
    index, others = neighbours.baseline_of(request)
    assert others is runs["all"].images and len(index) == 200
    base = neighbours.pixels_of(others, index)
    space = neighbours.spaces_of(request)["pixels"]
    near = neighbours.nearest(space, base[:3], base, others, index)
    flat = space(base)
    every = np.linalg.norm(flat[:, None] - flat, axis=2) + 9 * np.eye(200)
    np.testing.assert_allclose(near.baseline, every.min(1), rtol=1e-4)
    np.testing.assert_allclose(near.distances[:, 0], 0)


def test_features_are_another_space(runs, classifier_run, tmp_path, monkeypatch):
    run = runs["held"]
    monkeypatch.setattr(PlotRequest, "draw", samples_of(run.source, 10))
    request = PlotRequest(run, num=10, features=classifier_run[0])
    plot.draw(request, "neighbours", tmp_path)
    record = json.loads((tmp_path / "neighbours.json").read_text())
    assert record["features"]["copies"] and record["pixels"]["copies"]


def test_runs_are_named_by_the_fields_in_which_they_differ(runs):
    held, every = runs["held"], runs["all"]
    assert losses.names_of([held, every]) == ["holdout=.5", "holdout="]
    assert losses.names_of([held, held]) == [str(held.workdir)] * 2


def test_losses_of_several_runs_are_in_one_picture(runs, tmp_path):
    request = PlotRequest(runs["held"], beside=runs["all"])
    plot.draw(request, "loss", tmp_path)
    record = json.loads((tmp_path / "loss.json").read_text())
    assert record["name"] == "holdout=.5"
    assert [other["name"] for other in record["beside"]] == ["holdout="]
    assert record["beside"][0]["training"]["value"] == record["value"] == [1.0]


def test_losses_of_different_kinds_are_named(runs, tmp_path, capsys):
    held, config = runs["held"], runs["all"].config.copy_and_resolve_references()
    config.diffusion.prediction = "eps"
    request = PlotRequest(held, beside=replace(runs["all"], config=config))
    plot.draw(request, "loss", tmp_path)
    record = json.loads((tmp_path / "loss.json").read_text())
    first, other = record["name"], record["beside"][0]["name"]
    assert first.endswith(": mse of v, native weight"), first
    assert other.endswith(": mse of eps, native weight"), other
    assert "losses are of different kinds" in capsys.readouterr().err


def test_too_few_samples_have_no_verdict():
    few = neighbours.copies.compare(np.ones(1), np.arange(2.0, 402.0))
    assert neighbours.verdict_of(few) == "too few to decide"
