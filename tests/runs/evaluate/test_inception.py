"""Inception as a judge of any data; a stand-in for it whose features are worked out.

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
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate import compare
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot import steps as plot_steps
from tests.runs.conftest import IMAGES, config_of

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


def make_judge():
    source = synthetic.make((4, 6, 3), 2, 30)
    return judging.load_judge(FILE, source), source


@pytest.mark.parametrize("shape", [(4, 6, 3), (2, 2, 1), (9, 9, 3)])
@pytest.mark.parametrize("standardised", [False, True])
def test_it_sees_pixels_from_0_to_1_of_any_data(shape, standardised):
    source = synthetic.make(shape, 2, 30)
    if standardised:
        channels = shape[-1]
        source = images.standardise(source, (0.3,) * channels, (0.2,) * channels)
    judge = judging.load_judge(FILE, source)
    x = source[np.arange(5)]["x"]
    values = source.decode(x)
    seen = judging.features(judge, values, source.peak)
    expected = np.stack([values.mean(axis=(1, 2, 3)), values[:, 0, 0, 0]], axis=1)
    np.testing.assert_allclose(seen, expected / 255, atol=1e-6)
    np.testing.assert_allclose(
        judging.features(judge, values / 255, 1.0), seen, atol=1e-6
    )
    # its own data are the same images
    own = judge.source[np.arange(5)]
    np.testing.assert_allclose(own["x"], values / 255, atol=1e-6)
    np.testing.assert_array_equal(own["label"], source[np.arange(5)]["label"])
    np.testing.assert_allclose(judge.source.decode(own["x"]), values, atol=1e-4)
    np.testing.assert_allclose(judge.source.encode(values), own["x"], atol=1e-6)


def test_probabilities_and_no_labels():
    judge, source = make_judge()
    values = np.zeros((3, 4, 6, 3), np.float32)
    values[1] = source.peak
    look = judging.features_and_probabilities
    seen, shares = look(judge, values, source.peak)
    alone = judging.features(judge, values, source.peak)
    np.testing.assert_allclose(seen, alone, atol=1e-6)
    np.testing.assert_allclose(shares, 0.5, atol=1e-6)
    values[1, 0, 0, 0] = 0
    share = look(judge, values, source.peak)[1][1, 0]
    mean = 1 - 1 / 72
    assert share == pytest.approx(1 / (1 + np.exp(-3 * mean)), rel=1e-5)
    assert judge.step is None and judge.folder == FILE
    with pytest.raises(ValueError, match=r"inception.safetensors knows other classes"):
        judging.labels(judge, values, source.peak)


def test_it_looks_at_few_images_at_once(monkeypatch):
    judge, source = make_judge()
    values = source.decode(source[np.arange(30)]["x"])
    whole = judging.features(judge, values, 255.0)
    before = judging._features._cache_size()
    some = judging.features(judge._replace(chunk=7), values, 255.0)
    np.testing.assert_allclose(some, whole, atol=1e-6)
    assert judging._features._cache_size() == before + 1


def test_it_needs_to_know_which_images():
    with pytest.raises(ValueError, match="of data that it is told of, got no data"):
        judging.load_judge(FILE)
    with pytest.raises(ValueError, match="got a table"):
        judging.load_judge(FILE, synthetic.make((4,), 2, 30))


def test_a_file_that_is_not_there(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=r"no file inception\.safetensors"):
        judging.load_judge(FILE, synthetic.make((4, 6, 3), 2, 30))


def test_codes_are_judged_as_the_images_they_stand_for():
    source = synthetic.make((4, 4, 1), 0, 30)
    halves = source.decode

    def double(z):
        return np.repeat(np.repeat(halves(z), 2, axis=1), 2, axis=2)

    shown = as_pixels(replace(source, decode=double, bounds=None))
    assert shown.shape == (8, 8, 1) and [*shown[np.arange(2)]] == ["x"]
    expected = double(source[np.arange(3)]["x"]) / 255
    np.testing.assert_allclose(shown[np.arange(3)]["x"], expected, atol=1e-6)


def asked(tmp_path, classes):
    """A config of the real data, and a folder of dimmed ones."""
    config = config_of(**{**IMAGES, "data__num_classes": classes})
    files.save_config(tmp_path / "run", config)
    source = synthetic.make((8, 8, 1), classes, 60)
    batch = source[np.arange(24)]
    values = source.decode(batch["x"]) / 2
    labels = {"labels": batch["label"]} if classes else {}
    (tmp_path / "dim").mkdir()
    np.savez(tmp_path / "dim" / "samples.npz", values=values, **labels)
    return {
        "folders": [tmp_path / "dim"],
        "judge": FILE,
        "data": tmp_path / "run",
        "out": tmp_path / "out",
        "label": None,
        "num_real": None,
        "seed": 0,
        "force": False,
    }


@pytest.mark.parametrize("classes", [3, 0])
def test_folders_are_compared_with_a_runs_data(tmp_path, capsys, classes):
    fields = asked(tmp_path, classes)
    prepared = compare.prepare(**fields)
    (row,) = compare.run(prepared, "")
    told = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert told["judge"] == str(FILE) and told["judge_step"] is None
    assert told["real_images"] == 60 and told["features"] == 2
    assert row["own_label"] is None
    values = np.rint(np.load(tmp_path / "dim" / "samples.npz")["values"]) / 255
    seen = np.stack([values.mean(axis=(1, 2, 3)), values[:, 0, 0, 0]], axis=1)
    real = compare.look_at_real(prepared.judge, prepared.index, {12}, 24).few
    as_published = kernel.block_mmd(seen, real, 2, 0).value
    assert row["kernel"] == pytest.approx(as_published, abs=1e-6)
    assert row["frechet"] > 10 * row["frechet_of_real"] > 0
    assert f"2 features of {FILE}; real" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "compare.png") as picture:
        assert picture.width > 200


def test_whose_data_are_compared_with_is_said_once(tmp_path):
    fields = asked(tmp_path, 0)
    with pytest.raises(ValueError, match="no data of its own: give --data=WORKDIR"):
        compare.prepare(**fields | {"data": None})
    with pytest.raises(ValueError, match="compares with its own data; leave it out"):
        compare.prepare(**fields | {"judge": tmp_path / "run"})
    with pytest.raises(ValueError, match="the real images have no labels"):
        compare.prepare(**fields | {"label": 1})


def test_pictures_of_a_run(tmp_path):
    """What looks at samples takes it; what asks for their labels says so first."""
    config = config_of(**{**IMAGES, "model__name": "unet"})
    scene = plot.Scene(config, tmp_path / "run", num=6, judge=FILE)
    assert scene.judged.published
    assert plot.misfit(scene, "calls") == ""
    assert "needs another judge" in plot.misfit(scene, "guidance")
    with pytest.raises(ValueError, match="knows other classes than the data's"):
        plot.draw(scene, "guidance", tmp_path / "out")
    same = scene.source[permutation(0, 0, 60)[:6]]["x"]
    found = plot_steps.distances(scene, {1: same, 2: np.zeros_like(same)})
    assert found[2]["kernel"] > 10 * abs(found[1]["kernel"])
