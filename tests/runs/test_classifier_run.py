"""A classifier as a run: it learns, draws a preview, guides, and is refused clearly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import load, load_classifier
from jaxdiff.runs.sampler import even_labels, make_sampler, num_asked
from tests.runs.conftest import IMAGES, config_of


def test_it_learns_and_draws_what_it_knows(judged):
    folder, _ = judged
    rows = workdir.read_metrics(folder)
    assert rows[-1]["accuracy"] > 0.5 > rows[0]["loss"] - 1  # a guess is right in 1/3
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert (folder / "samples" / "00000060.png").stat().st_size > 1000


def guided(judged, scale):
    """A model that knows nothing (x0 = 0), so that only the guide speaks."""
    config = config_of(
        **{**IMAGES, "model__name": "speck"},
        diffusion__prediction="x0",
        diffusion__condition="none",
        sampler__num_steps=3,
        sampler__classifier=str(judged[0]),
        sampler__classifier_scale=scale,
    )
    source = build.make_source(config)
    task = build.make_task(config, source)
    assert num_asked(config, source) == 3
    params = jax.jit(task.init)(jax.random.key(0))
    return config, source, task, params, make_sampler(config, source, task)


def test_the_guide_moves_x0_to_where_its_label_is_likelier(judged):
    config, source, task, params, sampler = guided(judged, 20.0)
    classify = load_classifier(config, source)
    labels, t = jnp.asarray(even_labels(12, 3)), jnp.asarray(0.3)
    x_t = jax.random.normal(jax.random.key(1), (12, *source.shape))
    x0 = jax.jit(sampler.wrap(task.model(params)))(x_t, t, labels).x0

    def surprise(x):
        log_p = jax.nn.log_softmax(jax.jit(classify.logits)(x, t))
        return -np.asarray(log_p)[np.arange(12), np.asarray(labels)]

    step = 1e-2 * x0 / jnp.abs(x0).max()
    assert (surprise(x_t + step) < surprise(x_t)).mean() > 0.9


def test_samples_follow_the_guide(judged):
    labels = even_labels(12, 3)
    drawn = []
    for scale in (0.0, 20.0):
        *_, params, sampler = guided(judged, scale)
        drawn.append(sampler.draw(params, 0, np.arange(12), labels))
    np.testing.assert_array_equal(drawn[0], 0)
    assert np.isfinite(drawn[1]).all() and (drawn[1] != 0).any()


def refuse(judged, words, **fields):
    config = config_of(
        **{**IMAGES, "sampler__classifier": str(judged[0]), "model__name": "speck"},
        **fields,
    )
    source = build.make_source(config)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        make_sampler(config, source, build.make_task(config, source))


def test_what_does_not_fit_is_refused(judged, whole, tmp_path):
    refuse(judged, "trained otherwise: diffusion.schedule", diffusion__schedule="angle")
    refuse(
        judged, "classifier_form=mean needs .* ddpm", sampler__classifier_form="mean"
    )
    refuse(judged, "must be one of score, mean", sampler__classifier_form="mena")
    stored = workdir.load_config(judged[0])
    stored.diffusion.times = "constant(t=0.0)"
    workdir.save_config(tmp_path, stored)
    refuse((tmp_path,), r"knows one noise level only .*constant\(t=0\.0\)")
    refuse((whole[0],), "trained otherwise: data")
    refuse((whole[0].parent / "none",), "is not a run's workdir")


def test_a_classifier_draws_no_samples(judged):
    folder, config = judged
    trained = load(folder, config)
    with pytest.raises(ValueError, match="'classifier' trains no denoiser"):
        make_sampler(config, trained.source, trained.task)


def test_a_denoiser_is_no_classifier(whole):
    folder, run, _ = whole
    config = run.config.copy_and_resolve_references()
    config.sampler.classifier = str(folder)
    with pytest.raises(ValueError, match="holds a denoiser, no classifier"):
        load_classifier(config, run.source)
