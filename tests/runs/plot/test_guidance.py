"""Guidance over its scale: which ways a run allows, and whose word is counted."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion.denoisers import Denoised
from jaxdiff.plots import pictures
from jaxdiff.runs.plot import guidance as plot_guidance
from jaxdiff.runs.plot import run as plot
from jaxdiff.tasks.task import Task
from tests.runs.conftest import IMAGES, config_of, untrained


@pytest.fixture(scope="module")
def scene(judged, tmp_path_factory):
    """A model with labels, guided and judged by one classifier."""
    config = config_of(
        **{**IMAGES, "model__name": "speck"},
        train__num_steps=2,
        sampler__num_steps=3,
        sampler__classifier=str(judged[0]),
    )
    folder = tmp_path_factory.mktemp("guided") / "run"
    untrained(config, folder)
    return plot.Scene(config, folder, num=6, judge=judged[0])


def test_each_way_changes_its_own_scale(scene):
    ways = plot_guidance.ways(scene)
    assert [*ways] == [
        "classifier, model without label",
        "classifier, model with label",
        "classifier-free",
    ]
    first, second, third = (way[4.0] for way in ways.values())
    assert first == {"guidance": 0.0, "classifier_scale": 4.0}
    assert second == {"guidance": 1.0, "classifier_scale": 4.0}
    assert third == {"guidance": 4.0, "classifier": ""}
    alone = scene.config.copy_and_resolve_references()
    alone.sampler.classifier = ""
    assert [*plot_guidance.ways(replace(scene, config=alone))] == ["classifier-free"]


def test_shares_are_of_samples_that_the_judge_gives_the_asked_label(scene):
    """A model that, told its label, makes the very images of the data, which the judge
    knows; told another, those of the other class."""
    source, judged = scene.source, scene.judged
    batch = source[np.arange(len(source))]
    first = [int(np.argmax(batch["label"] == k)) for k in range(3)]
    images = jnp.asarray(batch["x"][first])
    said = plot_guidance.judge.labels(judged, source.decode(np.asarray(images)), 255.0)

    def knows(images, x_t, t, cond):
        # 3 is "no label": the first class
        return Denoised(images[jnp.where(cond == 3, 0, cond)])

    denoise = Partial(knows, images)
    task = scene.trained.task
    perfect = Task(task.init, task.loss, lambda _: denoise, task.kind, task.null)
    trained = scene.trained._replace(task=perfect)
    config = scene.config.copy_and_resolve_references()
    config.sampler.classifier = ""
    known = replace(scene, config=config)
    known.__dict__["trained"] = trained  # a cached property
    share = plot_guidance.shares(known, judged)["classifier-free"]
    labels = scene.labels(6)
    assert share[0] == np.mean(said[0] == labels)
    assert share[1] == np.mean(said[labels] == labels)


def test_the_curve_and_the_images_are_drawn(scene, tmp_path):
    plot.draw(scene, "guidance", tmp_path)
    said = json.loads((tmp_path / "guidance.json").read_text())
    assert said["scales"] == [0, 1, 2, 4, 8] and said["samples"] == 6
    assert [len(v) for v in said["shares"].values()] == [5] * 3
    assert said["judge"] == said["classifier"] == str(scene.judge)
    assert said["form"] == "score"
    assert (tmp_path / "guidance.png").exists()


def test_each_row_of_images_is_of_its_way_and_scale(scene, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        pictures, "save_rows", lambda path, rows, **names: drawn.update(rows)
    )
    plot.draw(scene, "guided", tmp_path)
    assert len(drawn) == 3 * 5
    # nobody guides a model that is told its label, or guides itself at scale 1
    plain = drawn["classifier-free: 1"]
    np.testing.assert_array_equal(drawn["classifier, model with label: 0"], plain)
    silent = drawn["classifier-free: 0"]
    np.testing.assert_array_equal(drawn["classifier, model without label: 0"], silent)
    config = scene.config.copy_and_resolve_references()
    config.sampler.update({"guidance": 4.0, "classifier": ""})
    alone = replace(scene, config=config)
    x = alone.sampler.draw(
        scene.trained.params, 0, np.arange(3), np.arange(3, dtype="i4")
    )
    np.testing.assert_array_equal(drawn["classifier-free: 4"], scene.pixels(x))
    for way in plot_guidance.ways(scene):
        assert (drawn[f"{way}: 4"] != drawn[f"{way}: 0"]).any()


def test_what_does_not_fit_is_said(scene, whole, tmp_path):
    with pytest.raises(ValueError, match="needs --judge=WORKDIR"):
        plot.draw(replace(scene, judge=None), "guidance", tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a run's workdir"):
        plot.draw(replace(scene, judge=tmp_path / "none"), "guidance", tmp_path)
    config = scene.config.copy_and_resolve_references()
    config.sampler.classifier = ""
    config.diffusion.condition = "none"
    silent = replace(scene, config=config)
    silent.__dict__["trained"] = scene.trained._replace(
        task=scene.trained.task._replace(null=None)
    )
    with pytest.raises(ValueError, match="is for models trained with labels"):
        plot.draw(silent, "guided", tmp_path)
    assert not [*tmp_path.iterdir()]
