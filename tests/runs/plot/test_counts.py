"""The picture of how often classes are sampled: its numbers, by a known model."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion.types import Denoised
from jaxdiff.runs.plot import counts
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import SPECK, tiny_config, untrained


@pytest.fixture(scope="module")
def trained(classifier_run, tmp_path_factory):
    config = tiny_config(**SPECK, sampler__num_steps=4, sampler__grid="uniform")
    run = untrained(config, tmp_path_factory.mktemp("counts") / "run")
    return PlotRequest(run, num=10, features=classifier_run[0])


def images_of(request):
    """An image of each class, and the classes that the classifier gives them."""
    source = request.run.source
    batch = source[np.arange(len(source))]
    x = batch["x"][[int(np.argmax(batch["cond"] == k)) for k in range(3)]]
    return x, request.extractor.labels(source.decode(x), source.peak)


def with_model(request, function, **sampler):
    """The request, whose model is function(images, x_t, t, cond)."""
    x, classes = images_of(request)
    run = request.run.with_sampler(**sampler)
    denoise = Partial(function, jnp.asarray(x))
    vars(run)["task"] = run.task._replace(model=lambda _: denoise)
    return replace(request, run=run), classes


def _late(images, x_t, t, cond):
    """The first class in noise; then 0 or 2, by the sign of a pixel of the noise."""
    later = jnp.where(x_t.reshape(len(x_t), -1)[:, 0] > 0, 2, 0)
    chosen = jnp.where(t > 0.6, 1, later)
    return Denoised(images[chosen])


def _by_label(images, x_t, t, cond):
    return Denoised(images[cond])


def test_lines_are_the_classes_of_the_predicted_x0(trained):
    request, classes = with_model(trained, _late, guidance=0.0)
    way = counts.course(request)
    np.testing.assert_allclose(way.t, [1, 0.75, 0.5, 0.25, 0])
    assert way.labels is None and way.classes.shape == (10, 5)
    assert (way.classes[:, :2] == classes[1]).all()
    assert np.isin(way.classes[:, 2:], classes[[0, 2]]).all()
    assert (way.entropy >= 0).all() and (way.entropy <= np.log(3) + 1e-6).all()


def test_samples_are_counted_beside_the_data(trained, tmp_path, capsys):
    request, _ = with_model(trained, _late, guidance=0.0)
    plot.draw(request, "counts", tmp_path)
    numbers = json.loads((tmp_path / "counts.json").read_text())
    source = trained.run.source
    real = np.bincount(source[np.arange(len(source))]["cond"], minlength=3)
    assert numbers["data"] == real.tolist()
    assert numbers["share_of_data"] == (real / real.sum()).tolist()
    assert sum(numbers["share"]) == pytest.approx(1)
    assert np.array(numbers["share_at_t"]).shape == (5, 3)
    np.testing.assert_allclose(numbers["share_at_t"][-1], numbers["share"])
    assert numbers["settled_at_t"][-1] == 1 and 0 <= numbers["p_value"] <= 1
    assert "chi-square test against the data: p = " in capsys.readouterr().out
    # the same samples as the sampler draws
    x = request.draw(10)
    labels = request.extractor.labels(request.run.pixels(x), 255.0)
    np.testing.assert_array_equal(counts.course(request).classes[:, -1], labels)


def test_samples_with_labels_are_counted_beside_these(trained, tmp_path):
    request, classes = with_model(trained, _by_label)
    plot.draw(request, "counts", tmp_path)
    numbers = json.loads((tmp_path / "counts.json").read_text())
    labels = request.run.conditions(10)
    assert numbers["label_accuracy"] == np.mean(classes[labels] == labels)
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (labels, classes[labels]), 1)
    assert numbers["classes_by_label"] == matrix.tolist()
    assert "p_value" not in numbers


def test_one_sample_is_too_few(trained, tmp_path):
    with pytest.raises(ValueError, match="'counts' needs --num=2 or more, got 1"):
        plot.draw(replace(trained, num=1), "counts", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_needs_a_classifier_of_the_data(trained, tmp_path):
    with pytest.raises(ValueError, match="'counts' needs --features=WORKDIR: a class"):
        plot.draw(replace(trained, features=None), "counts", tmp_path)
