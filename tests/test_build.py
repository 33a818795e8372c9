"""From config to objects: what is made of which fields."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiff.data
import jaxdiff.models
import jaxdiff.tasks
from configs import base
from jaxdiff import build, choices
from jaxdiff.data import synthetic
from jaxdiff.diffusion import grids


def make_task(config, source):
    return build.make_task(config, source, lambda: build.make_schedule(config))


def test_block_fields_go_only_where_they_are_taken():
    config = base.get_config()
    config.data.update({"name": "synthetic", "num_examples": 12, "shape": (4, 4, 3)})
    source = build.make_source(config)
    assert (len(source), source.shape, source.num_classes) == (12, (4, 4, 3), 10)


def tiny(**diffusion):
    config = base.get_config()
    config.data.update({"name": "synthetic", "shape": (3,), "num_classes": 4})
    config.model.update({"name": "mlp", "hidden": 8, "num_blocks": 1})
    config.diffusion.update(diffusion)
    return config


def test_the_null_label_exists_only_with_label_dropout():
    source = synthetic.make(shape=(3,), num_classes=4)
    assert make_task(tiny(), source).null == 4
    assert make_task(tiny(label_dropout=0.0), source).null is None
    assert make_task(tiny(condition="none"), source).null is None
    # and the table of labels has one more row for it
    for dropout, rows in ((0.1, 5), (0.0, 4)):
        task = make_task(tiny(label_dropout=dropout), source)
        params = jax.eval_shape(task.init, jax.random.key(0))
        assert params["label"]["embedding"].shape == (rows, 8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"condition": "class"}, "diffusion.condition must be one of"),
        ({"label_dropout": 1.0}, "diffusion.label_dropout must be in"),
        ({"schedule": "cosine(sigma=1.0)"}, "cosine has no field 'sigma'"),
        ({"weight": "snr"}, "weights has no 'snr'"),
    ],
)
def test_errors_of_the_diffusion_block(fields, message):
    with pytest.raises(ValueError, match=message):
        make_task(tiny(**fields), synthetic.make(shape=(3,), num_classes=4))


def test_objective_and_sampler_share_the_schedule():
    config = tiny(schedule="linear_mix", scaling="unscaled")
    c = build.make_schedule(config)
    # the linear mix: alpha = 1 - t, sigma = t
    np.testing.assert_allclose(c.alpha(jnp.asarray(0.25)), 0.75, rtol=1e-6)
    np.testing.assert_allclose(c.sigma(jnp.asarray(0.25)), 0.25, rtol=1e-6)
    config.sampler.num_steps = 4
    grid = np.asarray(build.make_grid(config, build.make_schedule(config)))
    np.testing.assert_allclose(grid, [1, 0.75, 0.5, 0.25, 0], atol=1e-6)


@pytest.mark.parametrize(
    "ts",
    [
        *(np.linspace(0, 1, 5), np.linspace(1, 0, 4), np.linspace(1, 0.1, 5)),
        *(np.linspace(1.5, 0, 5), np.linspace(1, 0, 5) * np.nan, None),
        *(np.linspace(1, 0, 5)[:, None], [1, 0.5, 0.5, 0.2, 0]),
    ],
)
def test_a_grid_of_ones_own_is_checked_before_it_is_traced(ts, monkeypatch):
    config = tiny()
    config.sampler.update({"grid": "uniform", "num_steps": 4})
    monkeypatch.setattr(grids, "uniform", lambda schedule, num_steps: ts)
    message = r"sampler\.grid=uniform must give num_steps \+ 1 = 5 times that fall"
    with pytest.raises(ValueError, match=message) as error:
        build.make_grid(config, build.make_schedule(config))
    assert "\n" not in str(error.value)


def test_optimizer_comes_with_its_clip_and_its_lr():
    config = base.get_config()
    config.train.update({"lr": "linear(peak=0.5)", "num_steps": 10, "clip_norm": 1.0})
    tx, lr = build.make_optimizer(config)
    np.testing.assert_allclose([lr(0), lr(5), lr(10)], [0.5, 0.25, 0.0], atol=1e-6)
    params = {"w": jnp.zeros(2)}
    updates, _ = tx.update({"w": jnp.array([30.0, 40.0])}, tx.init(params), params)
    # Adam's first step is lr sign(g), whatever the clip
    np.testing.assert_allclose(updates["w"], [-0.5, -0.5], rtol=1e-4)


def test_every_task_has_its_builder():
    files = set(choices.members(jaxdiff.tasks))
    assert set(build.TASKS) == files, "TASKS of jaxdiff/build.py makes every task"


@pytest.mark.parametrize(
    ("task", "model", "message"),
    [
        ("autoencode", "mlp", "no 'autoencode'; did you mean 'autoencoder'"),
        (
            "autoencoder",
            "basic_unet",
            "is not for task='autoencoder'",
        ),
        ("diffusion", "autoencoder", "is not for task='diffusion'"),
    ],
)
def test_a_task_and_a_network_that_do_not_fit(task, model, message):
    config = base.get_config()
    config.task = task
    config.model.update({"name": model, "num_blocks": 1})
    with pytest.raises(ValueError, match=message):
        make_task(config, synthetic.make(shape=(8, 8, 1)))


@pytest.mark.parametrize("kl_weight", [0.0, 1e-6])
def test_an_autoencoder_is_variational_where_the_kl_counts(kl_weight):
    config = base.get_config()
    config.task = config.model.name = "autoencoder"
    config.autoencoder.kl_weight = kl_weight
    task = make_task(config, synthetic.make(shape=(8, 8, 1)))
    params = jax.eval_shape(task.init, jax.random.key(0))
    kernel = params["encoder"]["latent"]["kernel"]
    assert kernel.shape[-1] == 4 * (2 if kl_weight else 1)
