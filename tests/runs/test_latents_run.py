"""Latent diffusion as two runs: the second trains on the codes of the first."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.runs import plot, sample, train, workdir
from jaxdiff.runs.trained import load, make_source
from tests.runs.conftest import tiny_config, untrained

IMAGES = {"data__shape": (4, 4, 1), "data__num_classes": 3, "data__num_examples": 30}


def encoder_config(**fields):
    network = {
        "model__name": "autoencoder",
        "model__channels": 4,
        "model__multipliers": (1, 1),
        "model__latent_channels": 2,
    }
    config = tiny_config(num_steps=2, **IMAGES, **network, **fields)
    config.task = "autoencoder"
    return config


def codes_config(folder):
    config = tiny_config(num_steps=2, data__standardise=True)
    config.data.update({"name": "latents", "path": str(folder)})
    config.model.update(
        {"name": "unet", "channels": 8, "multipliers": (1,), "num_blocks": 1}
    )
    config.diffusion.condition = "none"
    return config


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """(workdir of the autoencoder, workdir of the diffusion run on its codes)."""
    first, second = (tmp_path_factory.mktemp("latent") / n for n in ("one", "two"))
    untrained(encoder_config(), first)
    train.run(train.prepare(codes_config(first), second))
    return first, second


def test_the_run_keeps_the_scale_and_the_checksum_of_its_codes(stages):
    first, second = stages
    stored = workdir.load_config(second)
    (kept,) = (first / "latents").iterdir()
    assert stored.data.checksum == kept.name
    codes = np.load(kept / "codes.npy").astype(np.float64)
    np.testing.assert_allclose(stored.data.mean, codes.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(stored.data.std, codes.std((0, 1, 2)), rtol=1e-6)
    # the codes are the encoder's of the images
    run = load(first, workdir.load_config(first))
    x = jnp.asarray(run.source[np.arange(30)]["x"])
    mean, _ = run.task.model(run.params).encode(x)
    np.testing.assert_allclose(codes, mean, atol=1e-5)


def test_samples_and_pictures_come_out_decoded(stages, tmp_path):
    _, second = stages
    config = workdir.load_config(second)
    asked = {"num": 3, "seed": 0, "label": None, "png": True, "force": False}
    sample.run(sample.prepare(second, config, out=tmp_path / "out", **asked))
    values = np.load(tmp_path / "out" / "samples.npz")["values"]
    assert values.shape == (3, 4, 4, 1)  # the codes are 2 x 2 x 2
    assert 0 <= values.min() and values.max() <= 255
    assert len([*(tmp_path / "out").glob("0*.png")]) == 3
    plot.draw(plot.Scene(config, second), "film", tmp_path)
    assert (tmp_path / "film.png").stat().st_size > 1000


def test_it_goes_on_with_the_same_encoder_and_no_other(stages, tmp_path):
    first, second = (shutil.copytree(f, tmp_path / f.name) for f in stages)
    config = codes_config(first)
    workdir.save_config(second, build.measured(config, make_source(config)))
    config.train.num_steps = 3
    assert int(train.run(train.prepare(config, second)).step) == 3
    shutil.rmtree(first)
    other = encoder_config()
    other.seed = 1
    untrained(other, first)  # in the same place
    config.train.num_steps = 4
    with pytest.raises(ValueError, match=r"data\.checksum=\w+, but the encoder in"):
        train.prepare(config, second)


def test_a_run_that_is_no_autoencoder_is_refused(whole, tmp_path):
    with pytest.raises(ValueError, match="holds a denoiser, no autoencoder"):
        train.prepare(codes_config(whole[0]), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"data\.path: .*none is not a run's"):
        train.prepare(codes_config(whole[0].parent / "none"), tmp_path / "run")
