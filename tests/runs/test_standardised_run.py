"""A run on standardised images: what it keeps, what it clips to, how it resumes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.data import images
from jaxdiff.diffusion.types import Denoised
from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.train import loop, setup
from tests.runs.conftest import tiny_config


def config_of(**fields):
    given = {
        "num_steps": 2,
        "data__shape": (4, 4, 3),
        "data__standardise": True,
        "model__name": "basic_unet",
        "diffusion__condition": "none",
        "sampler__clip": True,
    }
    return tiny_config(**given | fields)


def test_what_was_measured_is_kept_with_the_run(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run = setup.prepare(config_of(), folder)
    assert not folder.exists()
    loop.run(run)
    stored = workdir.load_config(folder)
    plain = build.make_source(config_of(data__standardise=False))
    v = (plain[np.arange(len(plain))]["x"].astype(np.float64) + 1) / 2
    np.testing.assert_allclose(stored.data.mean, v.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(stored.data.std, v.std((0, 1, 2)), rtol=1e-9)

    # from here on nothing is measured again
    def fail(source):
        raise AssertionError("measured again")

    monkeypatch.setattr(images, "moments", fail)
    read = open_run(folder)
    assert read.source.moments == (stored.data.mean, stored.data.std)
    again = setup.prepare(config_of(num_steps=3), folder)
    assert again.experiment.config.data.mean == stored.data.mean
    assert int(loop.run(again).step) == 3
    assert workdir.load_config(folder).data.mean == stored.data.mean


def test_other_numbers_are_another_run(tmp_path):
    given = {"data__mean": (0.5, 0.5, 0.5), "data__std": (0.2, 0.2, 0.2)}
    workdir.save_config(tmp_path, config_of(**given))
    other = config_of(**given | {"data__std": (0.2, 0.2, 0.3)})
    with pytest.raises(ValueError, match=r"data.std=\(0.2, 0.2, 0.3\) \(stored"):
        setup.prepare(other, tmp_path)
    with pytest.raises(ValueError, match=r"data.standardise=False \(stored: True\)"):
        setup.prepare(config_of(data__standardise=False), tmp_path)
    # one of the two alone is a mistake, not a wish to measure
    with pytest.raises(ValueError, match=r"data\.mean"):
        setup.prepare(config_of(data__std=given["data__std"]), tmp_path)


def test_samples_are_clipped_to_each_channels_black_and_white():
    mean, std = (0.2, 0.5, 0.7), (0.1, 0.2, 0.4)
    sampler = Experiment(config_of(data__mean=mean, data__std=std)).sampler()
    for value, end in ((-50.0, 0.0), (50.0, 1.0)):

        def denoise(x_t, t, cond, value=value):
            return Denoised(jnp.full_like(x_t, value))

        x0 = sampler.wrap(denoise)(jnp.zeros((2, 4, 4, 3)), jnp.ones(()), None).x0
        expected = (end - np.array(mean)) / std
        np.testing.assert_allclose(x0, np.broadcast_to(expected, x0.shape), rtol=1e-5)


def test_numbers_without_standardise_and_tables_are_refused():
    with pytest.raises(ValueError, match=r"need data\.standardise=True"):
        build.make_source(config_of(data__standardise=False, data__mean=(0.5,)))
    with pytest.raises(ValueError, match="for images"):
        build.make_source(config_of(data__shape=(3,)))


def test_the_bound_counts_the_levels_that_pixels_have():
    """256 of them, from each channel's black to its white."""
    config = config_of(
        data__mean=(0.2, 0.5, 0.7),
        data__std=(0.1, 0.2, 0.4),
        diffusion__learned_variance=True,
    )
    source, schedule = build.make_source(config), build.make_schedule(config)
    decoder = build.make_objective(config, source, schedule).decoder
    assert decoder
    mean, std = np.array([0.2, 0.5, 0.7]), np.array([0.1, 0.2, 0.4])
    black, step = -mean / std, 1 / std / 255
    x0, beside, std = (
        jnp.asarray(a, jnp.float32).reshape(1, 1, 1, 3)
        for a in (black + 7 * step, black + 8 * step, 0.1 * step)
    )
    # a normal of a tenth of a level: its own level, and none beside it
    np.testing.assert_allclose(decoder(x0, x0, jnp.log(std)), 0, atol=1e-4)
    assert (np.asarray(decoder(beside, x0, jnp.log(std))) < -10).all()
