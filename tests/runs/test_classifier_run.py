"""A classifier as a run: it learns, draws a preview, guides, and is refused clearly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import Experiment, open_run
from tests.runs.conftest import CLASSIFIER, IMAGES, tiny_config, untrained


def test_it_learns_and_draws_its_predictions(classifier_run):
    folder, _ = classifier_run
    rows = workdir.read_metrics(folder)
    assert rows[-1]["accuracy"] > 0.5 > rows[0]["loss"] - 1  # a guess is right in 1/3
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert (folder / "samples" / "00000060.png").stat().st_size > 1000


def guided(classifier_run, scale):
    """A model that predicts x0 = 0, so that only the classifier moves its samples."""
    config = tiny_config(
        **{**IMAGES, "model__name": "speck"},
        diffusion__prediction="x0",
        diffusion__condition="none",
        sampler__num_steps=3,
        sampler__classifier=str(classifier_run[0]),
        sampler__classifier_scale=scale,
    )
    run = Experiment(config)
    assert run.num_classes == 3
    return run, jax.jit(run.task.init)(jax.random.key(0))


def test_the_guide_moves_x0_to_where_its_label_is_likelier(classifier_run):
    run, params = guided(classifier_run, 20.0)
    classify = open_run(classifier_run[0]).model
    labels, t = jnp.asarray(run.conditions(12)), jnp.asarray(0.3)
    x_t = jax.random.normal(jax.random.key(1), (12, *run.source.shape))
    x0 = jax.jit(run.sampler().wrap(run.task.model(params)))(x_t, t, labels).x0

    def surprise(x):
        log_p = jax.nn.log_softmax(jax.jit(classify.logits)(x, t))
        return -np.asarray(log_p)[np.arange(12), np.asarray(labels)]

    step = 1e-2 * x0 / jnp.abs(x0).max()
    assert (surprise(x_t + step) < surprise(x_t)).mean() > 0.9


def test_samples_follow_the_guide(classifier_run):
    drawn = []
    for scale in (0.0, 20.0):
        run, params = guided(classifier_run, scale)
        x = run.sampler().draw(params, 0, np.arange(12), run.conditions(12))
        drawn.append(x)
    np.testing.assert_array_equal(drawn[0], 0)
    assert np.isfinite(drawn[1]).all() and (drawn[1] != 0).any()


def refuse(folder, words, **fields):
    config = tiny_config(
        **{**IMAGES, "sampler__classifier": str(folder), "model__name": "speck"},
        **fields,
    )
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        Experiment(config).sampler()


def test_what_does_not_fit_is_refused(classifier_run, whole, tmp_path):
    folder, differs = classifier_run[0], "trained with other settings: "
    refuse(folder, differs + "diffusion.schedule", diffusion__schedule="angle")
    refuse(
        folder, "classifier_form=mean needs .* ddpm", sampler__classifier_form="mean"
    )
    refuse(folder, "must be one of score, mean", sampler__classifier_form="mena")
    stored = workdir.load_config(folder)
    stored.diffusion.times = "constant(t=0.0)"
    workdir.save_config(tmp_path, stored)
    refuse(tmp_path, r"trained at a single noise level .*constant\(t=0\.0\)")
    refuse(whole[0], differs + "data")
    refuse(whole[0].parent / "none", "is not a run's workdir")


def test_a_classifier_draws_no_samples(classifier_run):
    with pytest.raises(ValueError, match="'classifier' trains no denoiser"):
        open_run(*classifier_run).sampler()


def test_a_denoiser_is_no_classifier(whole):
    folder, run, _ = whole
    config = run.experiment.config.copy_and_resolve_references()
    config.sampler.classifier = str(folder)
    with pytest.raises(ValueError, match="holds a denoiser, no classifier"):
        Experiment(config, data=run.experiment.source).sampler()


@pytest.mark.parametrize("names, fits", [(("0", "1", "2"), True), (("2", "10"), False)])
def test_a_guide_whose_folders_were_read_by_older_rules(tmp_path, names, fits):
    """These sort names as text: 10 comes before 2."""
    for i, name in enumerate(names):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 40 * i).save(tmp_path / "data" / name / "a.png")
    data = {"data__name": "folder", "data__path": str(tmp_path / "data")}
    older = tiny_config(
        **CLASSIFIER, **data, data__channels=1, data__rules=1, model__norm_groups=1
    )
    untrained(older, tmp_path / "older")
    config = tiny_config(
        **{**IMAGES, **data, "model__name": "speck"},
        data__channels=1,
        sampler__classifier=str(tmp_path / "older"),
    )
    if fits:
        Experiment(config).sampler()
    else:
        with pytest.raises(ValueError, match="classes in another order, 10, 2"):
            Experiment(config).sampler()
