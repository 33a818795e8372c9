"""Inception's features of any data; a stand-in for it whose features are worked out.

The network itself is in tests/interop/test_inception.py.
"""

import json
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdiff.data import images, synthetic
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import as_pixels
from jaxdiff.interop import inception
from jaxdiff.metrics import kernel
from jaxdiff.runs.evaluate import compare
from jaxdiff.runs.evaluate.features import load_extractor
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.plot import quality
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import IMAGES, tiny_config

# A file that need not be there: it is never read.
FILE = Path("inception.safetensors")


class StandIn(nn.Module):
    """Features: an image's mean and its first pixel. Logits: three times these."""

    @nn.compact
    def __call__(self, x, t=None, cond=None, *, features: bool = False):
        scale = self.param("scale", nn.initializers.ones, ())
        x = jnp.stack([x.mean(axis=(1, 2, 3)), x[:, 0, 0, 0]], axis=1)
        return x if features else 3 * scale * x


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    weights = {"params": {"scale": jnp.ones(())}}
    monkeypatch.setattr(inception, "load", lambda path: (StandIn(), weights))


def make_extractor():
    source = synthetic.make((4, 6, 3), 2, 30)
    return load_extractor(FILE, source), source


@pytest.mark.parametrize("shape", [(4, 6, 3), (2, 2, 1), (9, 9, 3)])
@pytest.mark.parametrize("standardised", [False, True])
def test_it_takes_pixels_from_0_to_1_of_any_data(shape, standardised):
    source = synthetic.make(shape, 2, 30)
    if standardised:
        channels = shape[-1]
        source = images.standardise(source, (0.3,) * channels, (0.2,) * channels)
    extractor = load_extractor(FILE, source)
    x = source[np.arange(5)]["x"]
    values = source.decode(x)
    features = extractor.features(values, source.peak)
    expected = np.stack([values.mean(axis=(1, 2, 3)), values[:, 0, 0, 0]], axis=1)
    np.testing.assert_allclose(features, expected / 255, atol=1e-6)
    same = extractor.features(values / 255, 1.0)
    np.testing.assert_allclose(same, features, atol=1e-6)
    # its source has the same images
    inner = extractor.source
    batch = inner[np.arange(5)]
    np.testing.assert_allclose(batch["x"], values / 255, atol=1e-6)
    np.testing.assert_array_equal(batch["cond"], source[np.arange(5)]["cond"])
    np.testing.assert_allclose(inner.decode(batch["x"]), values, atol=1e-4)
    np.testing.assert_allclose(inner.encode(values), batch["x"], atol=1e-6)


def test_probabilities_and_no_labels():
    extractor, source = make_extractor()
    values = np.zeros((3, 4, 6, 3), np.float32)
    values[1] = source.peak
    features, shares = extractor.features_and_probabilities(values, source.peak)
    alone = extractor.features(values, source.peak)
    np.testing.assert_allclose(features, alone, atol=1e-6)
    np.testing.assert_allclose(shares, 0.5, atol=1e-6)
    values[1, 0, 0, 0] = 0
    share = extractor.features_and_probabilities(values, source.peak)[1][1, 0]
    mean = 1 - 1 / 72
    assert share == pytest.approx(1 / (1 + np.exp(-3 * mean)), rel=1e-5)
    assert extractor.step is None and extractor.folder == FILE
    with pytest.raises(ValueError, match=r"inception.safetensors has other classes"):
        extractor.labels(values, source.peak)


def test_it_takes_few_images_at_once(compilations):
    extractor, source = make_extractor()
    values = source.decode(source[np.arange(30)]["x"])
    whole = extractor.features(values, 255.0)
    compilations.names.clear()
    some = extractor._replace(chunk=7).features(values, 255.0)
    np.testing.assert_allclose(some, whole, atol=1e-6)
    assert compilations.names.count("jit(clean_features)") == 1


def test_it_needs_images():
    with pytest.raises(ValueError, match="needs data that are images, got no data"):
        load_extractor(FILE)
    with pytest.raises(ValueError, match="got a table"):
        load_extractor(FILE, synthetic.make((4,), 2, 30))


def test_a_file_that_is_not_there(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"no file inception\.safetensors"):
        load_extractor(FILE, synthetic.make((4, 6, 3), 2, 30))


def test_codes_are_decoded_to_images():
    source = synthetic.make((4, 4, 1), 0, 30)
    halves = source.decode

    def double(z):
        return np.repeat(np.repeat(halves(z), 2, axis=1), 2, axis=2)

    shown = as_pixels(replace(source, decode=double, bounds=None))
    assert shown.shape == (8, 8, 1) and shown[np.arange(2)]["cond"] is None
    expected = double(source[np.arange(3)]["x"]) / 255
    np.testing.assert_allclose(shown[np.arange(3)]["x"], expected, atol=1e-6)


def request_of(tmp_path, classes):
    """The real data of a config, and a folder of dimmed ones."""
    config = tiny_config(**{**IMAGES, "data__num_classes": classes})
    source = Experiment(config).images
    batch = source[np.arange(24)]
    values = source.decode(batch["x"]) / 2
    labels = {"labels": batch["cond"]} if classes else {}
    (tmp_path / "dim").mkdir()
    np.savez(tmp_path / "dim" / "samples.npz", values=values, **labels)
    return {
        "paths": [tmp_path / "dim"],
        "features": FILE,
        "data": source,
        "out": tmp_path / "out",
        "label": None,
        "num_real": None,
        "seed": 0,
        "force": False,
    }


@pytest.mark.parametrize("classes", [3, 0])
def test_folders_are_compared_with_a_runs_data(tmp_path, capsys, classes):
    prepared = compare.prepare(**request_of(tmp_path, classes))
    (row,) = compare.run(prepared, "")
    table = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert table["extractor"] == str(FILE) and table["extractor_step"] is None
    assert table["real_images"] == 60 and table["features"] == 2
    assert row["label_accuracy"] is None
    values = np.rint(np.load(tmp_path / "dim" / "samples.npz")["values"]) / 255
    features = np.stack([values.mean(axis=(1, 2, 3)), values[:, 0, 0, 0]], axis=1)
    real = prepared.reference.real
    assert real.shape == (24, 2)
    as_published = kernel.block_mmd(features, real, 2, 0).value
    assert row["kid"] == pytest.approx(as_published, abs=1e-6)
    assert row["frechet"] > 10 * row["real_to_real"] > 0
    assert f"2 features of {FILE}; real" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "compare.png") as picture:
        assert picture.width > 200


def test_the_real_data_are_given_once(tmp_path):
    fields = request_of(tmp_path, 0)
    with pytest.raises(ValueError, match="no data of its own: give --data=WORKDIR"):
        compare.prepare(**fields | {"data": None})
    with pytest.raises(ValueError, match="compares with its own data; leave out"):
        compare.prepare(**fields | {"features": tmp_path / "run"})
    with pytest.raises(ValueError, match="the data have no labels"):
        compare.prepare(**fields | {"label": "1"})


def test_pictures_of_a_run(tmp_path):
    """Distances can be drawn in its features; label accuracy is refused."""
    config = tiny_config(**{**IMAGES, "model__name": "unet"})
    run = Experiment(config, tmp_path / "run")
    request = PlotRequest(run, num=6, features=FILE)
    assert request.extractor.published
    assert plot.misfit(request, "nfe") == ""
    assert "needs other --features" in plot.misfit(request, "guidance")
    with pytest.raises(ValueError, match="has other classes than the data"):
        plot.draw(request, "guidance", tmp_path / "out")
    same = run.source[permutation(0, 0, 60)[:6]]["x"]
    results = quality.kid_by_steps(request, {1: same, 2: np.zeros_like(same)})
    assert results[2]["kid"] > 10 * abs(results[1]["kid"])
