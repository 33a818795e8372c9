"""The pictures of an autoencoder's run: their numbers, worked out without them."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import base
from jaxdiff.runs.plot import autoencoder as plot_autoencoder
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.train import preview
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
    """Scenes of a plain, a variational and a deeper run on the same data."""
    folder = tmp_path_factory.mktemp("autoencoders")
    configs = {
        "plain": small(0.0),
        "variational": small(1.0),
        "map": small(1.0, latent_size=0, latent_channels=1),
        "number": small(0.0, latent_size=1),
    }
    for name, config in configs.items():
        untrained(config, folder / name)
    return {k: plot.Scene(c, folder / k) for k, c in configs.items()}


def beside(runs, **fields):
    one, other = runs["plain"], replace(runs["variational"], **fields)
    return plot.Scene(one.config, one.workdir, beside=other, **fields)


def test_codes_are_the_encoders_of_the_images_in_the_data(runs):
    found = plot_autoencoder.codes(runs["variational"])
    source = runs["variational"].source
    mean, log_var = plot_autoencoder.coder_of(runs["variational"]).encode(
        jnp.asarray(source[np.arange(30)]["x"])
    )
    # in another order, which the seed chooses
    order, theirs = np.lexsort(found.mean.T), np.lexsort(np.asarray(mean).T)
    np.testing.assert_allclose(found.mean[order], mean[theirs], atol=1e-4)
    np.testing.assert_allclose(found.var[order], np.exp(log_var)[theirs], rtol=1e-3)
    assert sorted(found.labels) == sorted([0, 1, 2] * 10)
    assert plot_autoencoder.codes(runs["plain"]).var is None
    assert found.plane is found.mean


def test_the_plane_of_a_deeper_code_is_that_of_most_variance(runs):
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(500, 2)) * [5.0, 3.0]
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    codes = np.concatenate([wide, 1e-6 * rng.normal(size=(500, 2))], 1) @ turn
    plane = plot_autoencoder.Codes(codes, None, None).plane
    # distances between points survive
    np.testing.assert_allclose(
        np.linalg.norm(plane[:-1] - plane[1:], axis=1),
        np.linalg.norm(wide[:-1] - wide[1:], axis=1),
        rtol=1e-3,
        atol=1e-4,
    )


def test_pairs_are_images_of_different_classes(runs):
    a, b = plot_autoencoder.image_pairs(runs["plain"], 5)
    assert a.shape == b.shape == (5, 4, 4, 1)
    every = runs["plain"].source[np.arange(30)]

    def label(image):
        return every["label"][(every["x"] == image).all((1, 2, 3))].item()

    assert all(label(x) != label(y) for x, y in zip(a, b, strict=True))


def test_a_walk_starts_and_ends_at_the_reconstructions(runs):
    scene = runs["plain"]
    a, b = plot_autoencoder.image_pairs(scene, 3)
    walk = plot_autoencoder.interpolated(scene, a, b)
    coder = plot_autoencoder.coder_of(scene)
    (start, _), (end, _) = (coder.encode(jnp.asarray(x)) for x in (a, b))
    for place, z in ((0, start), (2, (start + end) / 2), (4, end)):
        np.testing.assert_allclose(walk[:, place], coder.decode(z), atol=1e-4)


def test_distances_by_a_loop(runs):
    scene = runs["variational"]
    pairs = plot_autoencoder.image_pairs(scene, plot_autoencoder.PAIRS)
    walks = plot_autoencoder.interpolated(scene, *pairs)
    every = scene.source[np.arange(30)]["x"]
    want = [
        [min(np.linalg.norm(x - real) for real in every) for x in walk]
        for walk in walks
    ]
    np.testing.assert_allclose(plot_autoencoder.distances(scene), want, rtol=1e-5)


def test_all_draws_what_fits_and_says_the_numbers(runs, tmp_path, capsys):
    paths = plot.draw(beside(runs, num=12), "all", tmp_path)
    kinds = ["mean", "loss", "latents", "interpolation", "reconstructions", "decoded"]
    assert [p.stem for p in paths] == kinds
    assert all(p.stat().st_size > 100 for p in paths)
    said = capsys.readouterr().out
    codes = plot_autoencoder.codes(plot.Scene(*_of(runs["plain"]), num=12))
    assert f"KL to N(0, I) {codes.kl:.3g} nats" in said
    assert "the second run is nearer by" in said
    told = json.loads((tmp_path / "latents.json").read_text())
    name = str(runs["plain"].workdir)
    assert told[name] == {"kl": pytest.approx(codes.kl), "codes": len(codes.mean)}
    told = json.loads((tmp_path / "interpolation.json").read_text())
    middles = [told[str(runs[k].workdir)]["middle"] for k in ("plain", "variational")]
    assert told["nearer_by"] == pytest.approx(middles[0] - middles[1], abs=1e-5)
    plot.draw(runs["map"], "latents", tmp_path / "map")  # principal components


def test_decoded_image_i_depends_on_its_seed_alone(runs, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        plot_autoencoder.pictures, "save_grid", lambda path, x: drawn.append(x)
    )
    for num in (2, 5):
        scene = plot.Scene(*_of(runs["plain"]), num=num)
        plot_autoencoder.draw_decoded(scene, tmp_path)
    np.testing.assert_array_equal(drawn[0], drawn[1][:2])


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("film", {}, "'film' is for task='diffusion', and this config's is 'auto"),
        ("decoded", {"trained": False}, "needs a trained run"),
        ("decoded", {"beside": "map"}, "--beside is for latents, interpolation"),
        ("latents", {"beside": "other data"}, "same data"),
        ("latents", {"workdir": "number"}, "one number only"),
    ],
)
def test_a_picture_that_cannot_be_drawn_says_why(runs, kind, fields, message, tmp_path):
    config = small(1.0)
    config.data.num_examples = 31
    others = {**runs, "other data": plot.Scene(config, runs["map"].workdir)}
    fields = {**fields}
    if "beside" in fields:
        fields = {"beside": others[fields["beside"]]}
    one = runs[fields.pop("workdir", None) or "plain"]
    folder = one.workdir if fields.pop("trained", True) else None
    given = {"config": one.config, "workdir": folder, **fields}
    with pytest.raises(ValueError) as error:
        plot.draw(plot.Scene(**given), kind, tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_the_preview_shows_there_and_back(runs, tmp_path):
    config, source, task, params, _ = runs["plain"].trained
    preview.make_preview(config, source, task)(params, tmp_path / "preview.png")
    with Image.open(tmp_path / "preview.png") as image:
        assert len(image.getcolors(10_000) or ()) > 10


def _of(scene):
    return scene.config, scene.workdir
