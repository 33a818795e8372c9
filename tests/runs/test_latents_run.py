"""Latent diffusion as two runs: the second trains on the codes of the first."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxdiff import build
from jaxdiff.runs import workdir
from jaxdiff.runs.evaluate import latent_likelihood, likelihood
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.train import loop, setup
from jaxdiff.tasks.autoencoder import sample_code
from tests.runs.conftest import tiny_config, untrained

IMAGES = {"data__shape": (4, 4, 1), "data__num_classes": 3, "data__num_examples": 30}


def encoder_config(**fields):
    network = {
        "model__name": "autoencoder",
        "model__channels": 4,
        "model__multipliers": (1, 1),
        "model__latent_channels": 2,
    }
    return tiny_config(task="autoencoder", num_steps=2, **IMAGES, **network, **fields)


def codes_config(folder):
    return tiny_config(
        num_steps=2,
        data__name="latents",
        data__path=str(folder),
        data__standardise=True,
        model__name="speck",
        diffusion__condition="none",
    )


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """(workdir of the autoencoder, workdir of the diffusion run on its codes)."""
    first, second = (tmp_path_factory.mktemp("latent") / n for n in ("one", "two"))
    untrained(encoder_config(), first)
    loop.run(setup.prepare(codes_config(first), second))
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
    run = open_run(first)
    mean, _ = run.model.encode(jnp.asarray(run.source[np.arange(30)]["x"]))
    np.testing.assert_allclose(codes, mean, atol=1e-5)


def test_samples_and_pictures_come_out_decoded(stages, tmp_path):
    run = open_run(stages[1])
    sample.run(sample.prepare(run, out=tmp_path / "out", num=3, png=True))
    values = np.load(tmp_path / "out" / "samples.npz")["values"]
    assert values.shape == (3, 4, 4, 1)  # the codes are 2 x 2 x 2
    assert 0 <= values.min() and values.max() <= 255
    assert len([*(tmp_path / "out").glob("0*.png")]) == 3
    plot.draw(PlotRequest(run), "film", tmp_path)
    assert (tmp_path / "film.png").stat().st_size > 1000


def test_it_resumes_with_the_same_encoder_and_no_other(stages, tmp_path):
    first, second = (shutil.copytree(f, tmp_path / f.name) for f in stages)
    config = codes_config(first)
    workdir.save_config(second, build.measured(config, Experiment(config).source))
    config.train.num_steps = 3
    assert int(loop.run(setup.prepare(config, second)).step) == 3
    shutil.rmtree(first)
    other = encoder_config()
    other.seed = 1
    untrained(other, first)  # in the same place
    config.train.num_steps = 4
    with pytest.raises(ValueError, match=r"data\.checksum=2-\w+, but the encoder in"):
        setup.prepare(config, second)


def test_a_run_that_is_no_autoencoder_is_refused(whole, tmp_path):
    with pytest.raises(ValueError, match="holds a denoiser, no autoencoder"):
        setup.prepare(codes_config(whole[0]), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"data\.path: .*none is not a run's"):
        setup.prepare(codes_config(whole[0].parent / "none"), tmp_path / "run")


def test_bpd_of_codes_become_bpd_of_their_images(tmp_path, monkeypatch):
    """What is added to the codes' own bpd, worked out apart, image by image."""
    first = encoder_config()
    first.autoencoder.kl_weight = 1.0
    inner = untrained(first, tmp_path / "first")
    run = untrained(codes_config(tmp_path / "first"), tmp_path / "second")
    monkeypatch.setattr(likelihood, "CHUNK", 5)
    monkeypatch.setattr(latent_likelihood, "CHUNK", 7)
    fields = {"num": 12, "steps": 4, "cleanest": 0.05, "seed": 3, "force": False}
    out, estimates = tmp_path / "out", ["continuous"]
    request = likelihood.prepare(run, out=out, estimates=estimates, **fields)
    (row,) = likelihood.run(request)
    shares = sum(row[k] for k in latent_likelihood.SHARES)
    assert row["bpd"] == pytest.approx(shares, rel=1e-5)
    coder = inner.model
    x = jnp.asarray(inner.source[request.index]["x"])
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(3), i))(request.index)
    stream = latent_likelihood.STREAM
    keys = jax.vmap(lambda k: jax.random.fold_in(k, stream))(keys)
    mean, log_var = coder.encode(x)
    z = sample_code(keys, mean, log_var)
    std = np.sqrt(np.mean((coder.decode(z) - x) ** 2))
    size, codes = x[0].size, z[0].size
    # the density of scaled codes is that of the codes times the scales
    _, scale = run.source.moments
    log_q = norm.logpdf(z, mean, np.exp(log_var / 2)).sum() / len(x)
    log_q += codes / len(scale) * np.log(scale).sum()
    assert row["encoder"] == pytest.approx(log_q / size / np.log(2), rel=1e-4)
    half = 1 / 255  # of a level, model units are from -1 to 1
    mass = norm.cdf(x + half, coder.decode(z), std) - norm.cdf(
        x - half, coder.decode(z), std
    )
    inside = np.abs(x) < 1  # the ends reach to infinity
    assert inside.any()
    expected = -np.log2(mass, where=inside, out=np.zeros_like(x))
    decoder, log_std = build.make_decoder(inner.source), jnp.full(x.shape, np.log(std))
    log_p = decoder(jnp.asarray(x), coder.decode(z), log_std.astype(jnp.float32))
    bits = -np.asarray(log_p) / np.log(2)
    np.testing.assert_allclose(bits[inside], expected[inside], rtol=0.02, atol=0.02)
    assert row["decoder of images"] == pytest.approx(bits.mean(), rel=1e-4)
