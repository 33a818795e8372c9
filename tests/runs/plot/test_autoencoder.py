"""The pictures of an autoencoder's run: the numbers that they show."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import base
from jaxdiff.data.orders import pairs_of_classes
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.plot import autoencoder
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from jaxdiff.runs.train.preview import autoencoder as preview
from tests.runs.conftest import untrained


def small(kl_weight, **model):
    config = base.get_config()
    config.task = "autoencoder"
    config.data.update({"name": "synthetic", "shape": (4, 4, 1), "num_classes": 3})
    config.data.num_examples = 30
    config.model.update(
        {"name": "autoencoder", "channels": 4, "multipliers": (1,), "num_blocks": 1}
    )
    config.model.update({"latent_size": 2, "latent_channels": 0, **model})
    config.autoencoder.kl_weight = kl_weight
    config.train.update({"batch_size": 4, "num_steps": 2, "log_every": 1})
    return config


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Plain, variational and deeper runs on the same data."""
    folder = tmp_path_factory.mktemp("autoencoders")
    configs = {
        "plain": small(0.0),
        "variational": small(1.0),
        "map": small(1.0, latent_size=0, latent_channels=1),
        "number": small(0.0, latent_size=1),
    }
    return {name: untrained(config, folder / name) for name, config in configs.items()}


def test_codes_are_the_encoders_of_the_images_in_the_data(runs):
    run = runs["variational"]
    codes = autoencoder.encode_data(run, 0, 100)
    mean, log_var = run.model.encode(jnp.asarray(run.source[np.arange(30)]["x"]))
    # in another order, which the seed chooses
    order, theirs = np.lexsort(codes.mean.T), np.lexsort(np.asarray(mean).T)
    np.testing.assert_allclose(codes.mean[order], mean[theirs], atol=1e-4)
    np.testing.assert_allclose(codes.var[order], np.exp(log_var)[theirs], rtol=1e-3)
    assert sorted(codes.labels) == sorted([0, 1, 2] * 10)
    plain = autoencoder.encode_data(runs["plain"], 0, 100)
    assert plain.var is None


def test_a_walk_starts_and_ends_at_the_reconstructions(runs):
    run = runs["plain"]
    a, b = pairs_of_classes(run.source, 0, 3)
    walk = autoencoder.interpolate(run, a, b)
    (start, _), (end, _) = (run.model.encode(jnp.asarray(x)) for x in (a, b))
    for place, z in ((0, start), (2, (start + end) / 2), (4, end)):
        np.testing.assert_allclose(walk[:, place], run.model.decode(z), atol=1e-4)


def test_distances_by_a_loop(runs):
    run = runs["variational"]
    pairs = pairs_of_classes(run.source, 0, autoencoder.PAIRS)
    walks = autoencoder.interpolate(run, *pairs)
    every = run.source[np.arange(30)]["x"]
    expected = [
        [min(np.linalg.norm(x - real) for real in every) for x in walk]
        for walk in walks
    ]
    np.testing.assert_allclose(autoencoder.distances(run, 0), expected, rtol=1e-5)


def test_all_draws_what_fits_and_prints_the_numbers(runs, tmp_path, capsys):
    request = PlotRequest(runs["plain"], num=12, beside=runs["variational"])
    paths = plot.draw(request, "all", tmp_path)
    kinds = ["latents", "interpolation", "reconstructions", "decoded", "sheet", "walks"]
    assert {p.stem for p in paths} == {"mean", "loss", *kinds}
    assert all(p.stat().st_size > 100 for p in paths)
    printed = capsys.readouterr().out
    codes = autoencoder.encode_data(runs["plain"], 0, 12)
    assert f"KL to N(0, I) {codes.kl:.3g} nats" in printed
    assert "in the middle variational is " in printed
    figures = json.loads((tmp_path / "latents.json").read_text())
    name = str(runs["plain"].workdir)
    assert figures[name] == {"kl": pytest.approx(codes.kl), "codes": len(codes.mean)}
    figures = json.loads((tmp_path / "interpolation.json").read_text())
    middles = [
        figures[str(runs[k].workdir)]["middle"] for k in ("plain", "variational")
    ]
    nearer = pytest.approx(middles[0] - middles[1], abs=1e-5)
    assert figures["nearer_by"] == nearer
    # principal components
    plot.draw(PlotRequest(runs["map"]), "latents", tmp_path / "map")


def test_decoded_image_i_depends_on_its_seed_alone(runs, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        autoencoder.pictures, "save_grid", lambda path, x: drawn.append(x)
    )
    for num in (2, 5):
        autoencoder.draw_decoded(PlotRequest(runs["plain"], num=num), tmp_path)
    np.testing.assert_array_equal(drawn[0], drawn[1][:2])


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("film", {}, "'film' is for task='diffusion', and this config's is 'auto"),
        ("decoded", {"trained": False}, "needs a trained run"),
        ("decoded", {"beside": "map"}, "--beside is for latents, interpolation"),
        ("latents", {"beside": "other data"}, "same data"),
        ("latents", {"run": "number"}, "one number only"),
        ("walks", {"beside": "number"}, "one number only"),
        ("sheet", {"run": "map"}, "codes of two numbers, and model.latent_size of"),
        ("latents", {"num": 2}, "needs --num=3 or more, got 2"),
        ("latents", {"num": 1, "run": "map"}, "needs --num=2 or more, got 1"),
        ("walks", {"num": 200}, "--num=200 is more than 'walks' draws: give 8 at most"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused(
    runs, kind, fields, message, tmp_path
):
    config = small(1.0)
    config.data.num_examples = 31
    others = {**runs, "other data": Experiment(config, runs["map"].workdir)}
    run = runs[fields.get("run", "plain")]
    run = run if fields.get("trained", True) else Experiment(run.config)
    beside, num = others.get(fields.get("beside")), fields.get("num")
    request = PlotRequest(run, beside=beside, num=num)
    with pytest.raises(ValueError) as error:
        plot.draw(request, kind, tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_preview_shows_there_and_back(runs, tmp_path):
    run = runs["plain"]
    preview.make(run)(run.params, tmp_path / "preview.png")
    with Image.open(tmp_path / "preview.png") as image:
        assert len(image.getcolors(10_000) or ()) > 10
