"""The figure of the same noise in more and more steps: what its strips hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdiff import rng
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot import steps as plot_steps
from tests.runs.conftest import tiny_config, untrained


def config_of(**sampler):
    config = tiny_config(num_steps=2, data__shape=(4, 4, 1), data__num_classes=0)
    config.model.name = "basic_unet"
    config.diffusion.update({"condition": "none", "schedule": "angle"})
    config.sampler.update(sampler)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps") / "run"
    untrained(config_of(), folder)
    return folder


def test_one_step_is_the_estimate_from_the_noise(folder):
    """By hand: x0 of what the network says at t = 1; sample i has noise i."""
    scene = plot.Scene(config_of(), folder, num=3)
    found = plot_steps.steps(scene)
    assert list(found) == [1, 10, 80]
    assert all(x.shape == (3, 4, 4, 1) for x in found.values())
    seeds = rng.split_by(jax.random.key(0), jnp.arange(3))
    keys = [jax.random.fold_in(seed, 0) for seed in seeds]
    z = jnp.stack([jax.random.normal(key, (4, 4, 1)) for key in keys])
    sigma = np.sin(np.arccos(0.02))
    x0 = scene.denoise(sigma * z, jnp.ones(()), None).x0
    np.testing.assert_allclose(found[1], x0, atol=1e-5)


def test_ten_steps_are_the_runs_own_ddim(folder):
    config = config_of(num_steps=10)
    scene = plot.Scene(config, folder, num=2)
    drawn = scene.sampler.draw(scene.trained.params, 0, np.arange(2), None)
    np.testing.assert_allclose(plot_steps.steps(scene)[10], drawn, atol=1e-6)


def test_neither_solver_nor_grid_of_the_run_matter(folder):
    other = config_of(solver="ddpm", grid="discrete", num_steps=7)
    a, b = (
        plot_steps.steps(plot.Scene(c, folder, num=1)) for c in (config_of(), other)
    )
    for n in plot_steps.STEPS:
        np.testing.assert_array_equal(a[n], b[n])


def test_the_picture_has_a_strip_for_each(folder, tmp_path):
    scene = plot.Scene(config_of(), folder, num=2)
    (path,) = plot.draw(scene, "steps", tmp_path)
    (other,) = plot.draw(
        plot.Scene(config_of(), folder, num=2, seed=1), "steps", tmp_path / "b"
    )
    a, b = (np.asarray(Image.open(p).convert("L"), np.int32) for p in (path, other))
    assert path.name == "steps.png"
    assert (abs(a - b) > 20).mean() > 1e-3
    with pytest.raises(ValueError, match="needs a trained run"):
        plot.draw(plot.Scene(config_of()), "steps", tmp_path / "c")


def test_distances_are_of_as_many_real_images(folder):
    """Real images are at no distance but for chance; a grey blot is far from them."""
    scene = plot.Scene(config_of(), folder, num=40)
    x = scene.source[np.arange(100, 140)]["x"]
    found = {1: np.zeros_like(x), 10: x}
    blot, real = (row["kernel"] for row in plot_steps.distances(scene, found).values())
    assert blot > 5 * abs(real)


def test_many_samples_are_told_apart_and_few_are_shown(folder, tmp_path, capsys):
    scene = plot.Scene(config_of(), folder, num=plot_steps.ENOUGH)
    plot.draw(scene, "steps", tmp_path)
    said = capsys.readouterr().out
    assert all(f"{n} steps: kernel distance" in said for n in plot_steps.STEPS)
    assert "20 samples, pixels" in said
