"""The pictures of a latent plane: what is decoded and drawn where."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from jaxdiff.data.orders import pairs_of_classes
from jaxdiff.plots import planes as drawing
from jaxdiff.runs.plot import autoencoder, planes
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import untrained
from tests.runs.plot.test_autoencoder import small


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planes")
    weights = {"plain": 0.0, "variational": 1.0}
    return {k: untrained(small(w), folder / k) for k, w in weights.items()}


def test_the_sheet_is_at_even_quantiles(runs):
    values = planes.plane(runs["variational"], 0)
    even = (np.arange(20) + 0.5) / 20
    np.testing.assert_allclose(norm.cdf(values), [even, even], atol=1e-5)
    codes = autoencoder.encode_data(runs["plain"], 0, 30).mean
    values = planes.plane(runs["plain"], 0)
    below = (codes[:, None, :] <= values.T[None]).mean(0)
    np.testing.assert_allclose(below, np.stack([even, even], 1), atol=1 / 30)


def test_rows_of_the_sheet_rise_with_the_second_number(runs, tmp_path, monkeypatch):
    run = runs["variational"]
    x = planes.decode_plane(run, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    expected = run.model.decode(jnp.array([[3.0, 4.0], [1.0, 6.0]]))
    np.testing.assert_allclose(x[[0, 2], [2, 0]], expected, atol=1e-5)
    sheets = []
    monkeypatch.setattr(
        drawing, "tile", lambda x, **how: sheets.append(x) or x.reshape(-1, 2, 1)
    )
    images = np.arange(4, dtype=np.uint8).repeat(4).reshape(2, 2, 2, 2, 1)
    drawing.save_planes(tmp_path / "x.png", {"a": (images, np.zeros((2, 2)))})
    # the highest row is drawn first, at the top
    assert sheets[0][:, 0, 0, 0].tolist() == [2, 3, 0, 1]


def test_arrows_go_from_code_to_code(runs, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        planes, "save_walks", lambda path, panels, **names: drawn.update(panels)
    )
    request = PlotRequest(runs["plain"], num=2, beside=runs["variational"])
    planes.draw_walks(request, tmp_path)
    a, b = pairs_of_classes(request.run.source, 0, planes.PAIRS)
    for run, panel in zip(runs.values(), drawn.values(), strict=True):
        ends = [run.model.encode(jnp.asarray(x[:2]))[0] for x in (a, b)]
        np.testing.assert_allclose(panel.lines, np.stack(ends, 1), atol=1e-4)
        assert {*panel.centres} == {*run.source.class_names}
        assert (panel.low < panel.lines.min((0, 1))).all()
        area = np.prod((panel.high - panel.low) / panel.density.shape[0])
        assert 0.9 < panel.density.sum() * area < 1.01


def test_their_numbers_are_written(runs, tmp_path):
    request = PlotRequest(runs["plain"], beside=runs["variational"])
    for kind in ("sheet", "walks"):
        plot.draw(request, kind, tmp_path)
        numbers = json.loads((tmp_path / f"{kind}.json").read_text())
        assert {str(run.workdir) for run in runs.values()} < {*numbers}
    for run in runs.values():
        walk = numbers[str(run.workdir)]
        assert 0 <= walk["empty"] <= 1 and walk["codes"] == 30
        assert np.isfinite(walk["log_density"]) and walk["log_density_error"] >= 0
        assert walk["seed"] == 0 and np.shape(walk["arrows"]) == (4, 2, 2)


@pytest.mark.parametrize("kind", ["sheet", "walks", "latents"])
def test_runs_of_the_same_name_and_of_other_spaces_have_panels(
    kind, tmp_path, monkeypatch
):
    sizes = {"sheet": 2, "walks": 3, "latents": 3}
    a = untrained(small(0.0), tmp_path / "a/run")
    b = untrained(small(0.0, latent_size=sizes[kind]), tmp_path / "b/run")
    drawn, axes = {}, []
    home = autoencoder if kind == "latents" else planes
    name = {"sheet": "save_planes", "walks": "save_walks", "latents": "save_codes"}

    def save(path, panels, *labels, axes_names=()):
        drawn.update(panels)
        axes.extend(axes_names)

    monkeypatch.setattr(home, name[kind], save)
    home.SPECS[kind].draw(PlotRequest(a, beside=b), tmp_path)
    for title, run in zip(drawn, (a, b), strict=True):
        assert title.startswith(f"{run.path} (plain)")
    if axes:
        components = "principal component 1", "principal component 2"
        assert axes == [("z 1", "z 2"), components]


def test_whether_a_run_is_nearer_is_decided_by_two_errors():
    assert "b is nearer to real images, by 0.22 ± 0.07" in autoencoder.in_words(
        "b", 0.22, 0.07
    )
    for gain, error in ((0.07, 0.06), (-0.2, 0.13)):
        assert "is not nearer" in autoencoder.in_words("b", gain, error)
