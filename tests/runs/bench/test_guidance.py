"""What guidance samples in closed form: exact for w = 0 and 1, and no power beyond."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import multivariate_normal

from jaxdiff.runs.bench import guidance


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(guidance, "COUNT", 8000)
    monkeypatch.setattr(guidance, "CHUNK", 8000)
    monkeypatch.setattr(guidance, "CELLS", 20)
    monkeypatch.setattr(guidance, "STEPS", 24)


def test_the_tilted_density_by_hand():
    law, at = guidance.LAW, guidance.centres()
    each = [
        w * multivariate_normal(m, s**2).pdf(at)
        for w, m, s in zip(law.weights, law.means, law.stds, strict=True)
    ]
    whole, given = sum(each), sum(each[:3])
    for scale in (0.0, 1.0, 2.5):
        expected = whole * (given / whole) ** scale
        got = guidance.tilted(scale)
        np.testing.assert_allclose(got, expected / expected.sum(), atol=1e-12)


def test_two_densities_that_share_nothing_are_one_apart():
    p, q = np.zeros((2, 3)), np.zeros((2, 3))
    p[0, 0] = q[1, 1] = 1
    assert guidance.total_variation(p, q) == 1
    assert guidance.total_variation(p, p) == 0
    assert guidance.total_variation(p, p / 2) == 0.5  # the rest lies outside


def test_guidance_is_exact_to_scale_one_and_then_loses_variety(few, tmp_path):
    rows = {row["w"]: row for row in guidance.bench_guidance(tmp_path)}
    for w in (0.0, 1.0):
        assert rows[w]["total variation"] < rows[w]["of exact samples"] + 0.03
    assert rows[4.0]["total variation"] > 0.4
    left = [row["clusters left"] for row in rows.values()]
    assert left == sorted(left, reverse=True) and left[-1] < left[0] - 0.8
    assert rows[4.0]["label accuracy"] > 0.99 > rows[1.0]["label accuracy"]
    assert np.asarray(Image.open(tmp_path / "guidance.png")).std() > 10
