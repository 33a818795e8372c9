"""Time and label in a network's vector: taken apart, and with tables set by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.models.embeddings import waves
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.plot import embeddings
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import BLOBS, IMAGES, SPECK, tiny_config

# Each with the place of its table of labels.
TABLES = {
    "unet": ({**IMAGES, "model__name": "unet"}, ("conditioning", "label", "embedding")),
    "speck": (SPECK, ("label", "embedding")),
    "mlp": ({"data__num_classes": 3}, ("label", "embedding")),
}


def request_of(change=lambda params: None, **fields):
    """Of a run whose parameters are drawn here, then changed; nothing is compiled."""
    run, rng = Experiment(tiny_config(**fields)), np.random.default_rng(0)
    shapes = jax.eval_shape(run.task.init, jax.random.key(0))
    params = jax.tree.map(lambda a: 0.3 * rng.standard_normal(a.shape), shapes)
    change(params)
    vars(run)["_averages"] = 7, jax.tree.map(np.float32, params)
    return PlotRequest(run)


def test_the_parts_of_a_sum_are_its_terms():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 1, 4)), rng.normal(size=(1, 3, 4))
    parts = embeddings.split(5 + a + b)
    np.testing.assert_allclose(parts.of_time, (a - a.mean(0))[:, 0], atol=1e-12)
    np.testing.assert_allclose(parts.of_label, (b - b.mean(1))[0], atol=1e-12)
    power = [np.square(a - a.mean(0)).mean(), np.square(b - b.mean(1)).mean()]
    shares = [parts.shares["time"], parts.shares["label"]]
    np.testing.assert_allclose(shares, power / np.sum(power))
    assert abs(parts.shares["interaction"]) < 1e-12
    # signs that only the two together have
    both = np.array([1.0, -1.0]).reshape(2, 1, 1) * np.array([[[1.0], [-1.0]]])
    assert embeddings.split(both).shares == {"time": 0, "label": 0, "interaction": 1}


def test_cosines():
    got = embeddings.cosines(np.array([[2.0, 0.0], [-1.0, 0.0], [3.0, 3.0]]))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(got, [[1, -1, half], [-1, 1, -half], [half, -half, 1]])


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_labels_set_by_hand_is_what_the_picture_shows(name):
    fields, place = TABLES[name]
    rows = {}

    def change(params):
        *folders, leaf = place
        for folder in folders:
            params = params[folder]
        table = np.zeros_like(params[leaf])
        table[:, :2] = [[2, 0], [2, 0], [-1, 1], [-3, -1]]  # the last is no label
        params[leaf] = rows["of"] = table

    names, emb = embeddings.embeddings(request_of(change, **fields))
    assert len(names) == 4 and names[-1] == "no label"
    parts = embeddings.split(emb)
    expected = rows["of"] - rows["of"].mean(0)
    np.testing.assert_allclose(parts.of_label, expected, atol=1e-5)
    over_labels = embeddings.cosines(parts.of_label)
    assert over_labels[0, 1] == pytest.approx(1) and over_labels[0, 2] < 0
    over_t = embeddings.cosines(parts.of_time)
    for cosines in (over_t, over_labels):
        np.testing.assert_allclose(np.diag(cosines), 1)
    assert over_t.shape == (50, 50) and over_t[0, 1] > over_t[0, -1]
    assert parts.shares["interaction"] < 1e-6  # time and label are added


def test_without_the_weight_of_its_label_the_song_unet_has_the_time_alone():
    fields = {**IMAGES, "model__name": "song_unet"}
    _, emb = embeddings.embeddings(request_of(**fields))
    assert embeddings.split(emb).shares["label"] > 1e-3

    def change(params):
        params["conditioning"]["label"]["kernel"] *= 0

    _, emb = embeddings.embeddings(request_of(change, **fields))
    assert embeddings.split(emb).shares["time"] == pytest.approx(1)


def test_the_residual_unet_has_the_waves_of_its_time_feature(tmp_path):
    fields = {**IMAGES, "model__name": "residual_unet", "diffusion__condition": "none"}
    request = request_of(**fields, diffusion__time_feature="variance")
    names, emb = embeddings.embeddings(request)
    t = jnp.asarray(embeddings.TIMES, jnp.float32)
    expected = waves(jnp.square(request.run.schedule.sigma(t)), 32)
    assert names == [""]
    np.testing.assert_allclose(emb[:, 0], expected, atol=1e-5)
    numbers = embeddings.draw_embeddings(request, tmp_path / "embeddings.png")
    assert numbers["share_of_variance"] == {"time": pytest.approx(1)}
    assert numbers["cosine"]["label"] == [] and (tmp_path / "embeddings.png").exists()


def test_a_network_without_the_time_is_refused():
    fields = {**BLOBS, "model__name": "basic_unet", "diffusion__condition": "none"}
    request = request_of(**fields)
    assert "'basic_unet' does not" in plot.SPECS["embeddings"].misfit(request)
