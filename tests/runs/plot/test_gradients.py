"""The classifier's gradient: how like noise it is, and what guidance makes of it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.runs.plot import gradients
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import CLASSIFIER, SPECK, tiny_config, untrained


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    untrained(tiny_config(**CLASSIFIER), folder / "classifier", step=2)
    run = untrained(tiny_config(**SPECK), folder / "run", step=2)
    fields = {"classifier": str(folder / "classifier"), "clip": False}
    return PlotRequest(run.with_sampler(**fields), num=2)


def test_the_correlation_of_neighbouring_pixels_by_hand():
    y, x = np.mgrid[:6, :6]
    patterns = {
        "checks": ((-1.0) ** (x + y), -1.0),
        "stripes": ((-1.0) ** x, 0.0),  # -1 across, 1 down
        "one colour": (np.ones((6, 6)), 0.0),
        "noise": (np.random.default_rng(0).normal(size=(6, 6)), None),
    }
    for name, (image, expected) in patterns.items():
        r = gradients.correlation(np.stack([image, 3 - 2 * image])[..., None])
        assert r.shape == (2,) and r[0] == pytest.approx(r[1]), name
        if expected is not None:
            assert r[0] == pytest.approx(expected), name
    noise = np.random.default_rng(0).normal(size=(100, 64, 64, 3))
    assert abs(gradients.correlation(noise).mean()) < 1e-3
    smooth = np.broadcast_to(x / 5.0, (1, 6, 6))[..., None]
    assert gradients.correlation(smooth)[0] == pytest.approx(0.8)  # .6 across, 1 down


def test_guided_estimates_are_moved_along_the_gradient(request_):
    g = gradients.gradients(request_, 4)
    np.testing.assert_array_equal(g.targets, g.labels)
    run, t = request_.run, jnp.asarray(gradients.TIMES, jnp.float32)
    slope = np.asarray(run.schedule.sigma(t) ** 2 / run.schedule.alpha(t))
    moved = slope[:, None, None, None, None] * g.gradient
    assert abs(moved).max() > 1e-3
    for scale, x0 in zip(gradients.SCALES, g.x0[1:], strict=True):
        np.testing.assert_allclose(x0, g.x0[0] + scale * moved, atol=1e-4)


def test_a_step_along_the_gradient_raises_the_probability_of_the_label(request_):
    run = request_.run.with_sampler(guidance=3.0)
    other = replace(request_, run=run, label="1")
    g = gradients.gradients(other, 4)
    assert (g.targets == 1).all() and (g.labels != 1).any()
    before, after = g.log_p
    assert (after > before).mean() > 0.9
    rms = np.sqrt(np.square(g.moved - g.x_t).mean((-3, -2, -1)))
    size = np.sqrt(np.square(g.x_t).mean((-3, -2, -1)))
    np.testing.assert_allclose(rms, gradients.STEP * size, rtol=1e-3)
    mine = gradients.gradients(request_, 4)
    np.testing.assert_array_equal(mine.x_t, g.x_t)
    # the estimate is of the image's class, without guidance
    t, labels = jnp.float32(gradients.TIMES[2]), jnp.asarray(g.labels)
    x0 = request_.run.model(jnp.asarray(g.x_t[2]), t, labels).x0
    np.testing.assert_allclose(g.x0[0, 2], x0, atol=1e-5)
    assert abs(mine.gradient - g.gradient).max() > 1e-4


@pytest.mark.parametrize(
    ("kind", "fields", "sampler", "words"),
    [
        ("gradients", {"label": "9"}, {}, "label must be from 0 to 2"),
        ("grid", {"label": "1"}, {}, "--label changes nothing in 'grid'.*gradients"),
        ("gradients", {}, {"classifier": ""}, "needs --config.sampler.classifier"),
        ("gradients", {}, {"guidance": 2.0}, "sampler.guidance=2.0 changes nothing"),
        ("gradients", {}, {"num_steps": 9}, "sampler.num_steps=9 changes nothing"),
        ("gradients", {}, {"classifier_scale": 9.0}, "sampler.classifier_scale=9"),
    ],
)
def test_what_changes_nothing_is_refused(
    request_, tmp_path, kind, fields, sampler, words
):
    other = replace(request_, run=request_.run.with_sampler(**sampler), **fields)
    with pytest.raises(ValueError, match=words):
        plot.draw(other, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_picture_has_its_numbers(request_, tmp_path):
    other = replace(request_, label="2")
    numbers = gradients.draw_gradients(other, tmp_path / "gradients.png")
    assert (tmp_path / "gradients.png").exists()
    assert (numbers["guidance"], numbers["step"]) == (1.0, 2)
    assert numbers["classifier_form"] == "score"
    assert numbers["y"] == request_.run.source.class_names[2]
    r = numbers["correlation"]
    assert abs(r["noise"]["value"][0]) < 0.2 < r["x0"]["value"][0]
    assert len(r["gradient"]["value"]) == len(gradients.TIMES)
