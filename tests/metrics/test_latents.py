"""Distances of codes and images against closed forms and loops."""

import numpy as np
import pytest

from jaxdiff.metrics import latents
from jaxdiff.metrics.latents import (
    Codes,
    aggregate,
    density_map,
    empty,
    kl_to_standard,
    nearest,
    relative_density,
)


def test_kl_of_independent_normals_is_the_sum_of_their_kls():
    # KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1) / 2 - log s for each number
    m, s = np.array([0.5, -2.0, 0.0]), np.array([0.3, 4.0, 1.0])
    want = ((m**2 + s**2 - 1) / 2 - np.log(s)).sum()
    assert kl_to_standard(m, np.diag(s**2)) == pytest.approx(want)
    assert kl_to_standard(np.zeros(3), np.eye(3)) == pytest.approx(0)


def test_kl_is_blind_to_a_rotation_of_the_codes():
    m, s = np.array([1.0, 2.0]), np.diag([0.5, 3.0])
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = kl_to_standard(turn @ m, turn @ s @ turn.T)
    assert turned == pytest.approx(kl_to_standard(m, s))


def test_codes_on_a_line_are_infinitely_far_from_filling_a_plane():
    line = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]])
    assert kl_to_standard(*aggregate(line)) > 10  # or infinite, rounding as it will
    assert kl_to_standard(np.zeros(2), np.zeros((2, 2))) == np.inf


def test_the_aggregate_has_the_moments_of_draws_of_the_mixture():
    rng = np.random.default_rng(0)
    mean, var = rng.normal(size=(50, 2)) * [1.0, 3.0], rng.uniform(0.1, 2, (50, 2))
    which, n = rng.integers(50, size=200_000), 200_000
    draws = mean[which] + np.sqrt(var[which]) * rng.normal(size=(n, 2))
    m, cov = aggregate(mean, var)
    # five standard errors of means and of covariances of about normal draws
    spread = np.sqrt(np.diag(cov))
    np.testing.assert_array_less(np.abs(draws.mean(0) - m), 5 * spread / n**0.5)
    error = np.abs(np.cov(draws.T) - cov)
    np.testing.assert_array_less(error, 5 * 2 * np.outer(spread, spread) / n**0.5)


def test_the_plane_of_a_deeper_code_is_that_of_most_variance():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(500, 2)) * [5.0, 3.0]
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    codes = np.concatenate([wide, 1e-6 * rng.normal(size=(500, 2))], 1) @ turn
    plane = Codes(codes, None, None).plane
    # distances between points survive
    np.testing.assert_allclose(
        np.linalg.norm(plane[:-1] - plane[1:], axis=1),
        np.linalg.norm(wide[:-1] - wide[1:], axis=1),
        rtol=1e-3,
        atol=1e-4,
    )
    # two numbers are the plane themselves
    assert Codes(wide, None, None).plane is wide


def test_kl_of_codes_is_that_of_the_normal_fitted_to_them():
    rng = np.random.default_rng(1)
    mean, var = rng.normal(size=(50, 3)), rng.uniform(0.1, 2, (50, 3))
    for of_codes in (None, var):
        want = kl_to_standard(*aggregate(mean, of_codes))
        assert Codes(mean, of_codes, None).kl == want > 0


def test_nearest_is_the_smallest_distance_over_all_parts():
    rng = np.random.default_rng(1)
    x, real = rng.normal(size=(7, 5)), rng.normal(size=(30, 5))
    real[20] = x[3]
    want = [min(np.linalg.norm(a - b) for b in real) for a in x]
    got = nearest(x, np.array_split(real, 4))
    np.testing.assert_allclose(got, want, atol=1e-12)
    assert got[3] == 0


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_the_nearest_rows_are_those_of_all_distances(size):
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(6, 4)), rng.normal(size=(20, 4))
    parts = [p[at : at + size] for at in range(0, 20, size)]
    distances, rows = latents.k_nearest(x, parts, 3)
    every = np.linalg.norm(x[:, None] - p, axis=2)
    np.testing.assert_array_equal(rows, np.argsort(every, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :3])
    np.testing.assert_array_equal(latents.nearest(x, parts), distances[:, 0])


def test_fewer_rows_than_neighbours():
    distances, _ = latents.k_nearest(np.zeros((2, 3)), [np.ones((1, 3))], 2)
    np.testing.assert_allclose(distances, [[3**0.5, np.inf]] * 2)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_places_are_empty_between_two_islands_and_not_inside_one(scale):
    rng = np.random.default_rng(0)
    centre = rng.choice([-5.0, 5.0], (1000, 1)) * np.array([[1.0, 0, 0]])
    codes = centre + rng.normal(size=(1000, 3))
    z = np.array([[[-5.0, 0, 0], [0, 0, 0]], [[5.0, 0, 0], [5.0, 9, 0]]])
    expected = [[False, True], [False, True]]
    assert empty(scale * codes, scale * z).tolist() == expected
    # of codes like those counted, the share that defines it
    more = rng.choice([-5.0, 5.0], (4000, 1)) * np.array([[1.0, 0, 0]])
    more = more + rng.normal(size=(4000, 3))
    assert empty(codes, more, share=0.1).mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(("dim", "scale"), [(1, 1.0), (2, 1.0), (2, 50.0)])
def test_the_centre_of_a_normal_is_denser_than_its_draws(dim, scale):
    # E log p of z ~ N(0, s^2 I) less that of the codes: (1 - s^2) d / 2
    rng = np.random.default_rng(0)
    codes, z = rng.normal(size=(8000, dim)), 0.3 * rng.normal(size=(500, dim))
    gain = relative_density(scale * codes, scale * z)
    assert gain.shape == (500,)
    assert gain.mean() == pytest.approx(0.91 * dim / 2, abs=0.35)


def test_the_density_map_is_the_density():
    points = np.random.default_rng(0).normal(size=(50_000, 2)) * [1.0, 2.0]
    low, high = np.array([-4.0, -8.0]), np.array([4.0, 8.0])
    p = density_map(points, low, high, cells=40)
    assert p.sum() * 0.2 * 0.4 == pytest.approx(1, abs=0.01)
    x, y = np.arange(-3.9, 4, 0.2), np.arange(-7.8, 8, 0.4)
    expected = np.exp(-(x[None] ** 2 + (y[:, None] / 2) ** 2) / 2) / (4 * np.pi)
    assert abs(p - expected).max() < 0.1 * expected.max()


def test_codes_are_projected_as_they_are():
    mean = np.random.default_rng(0).normal(size=(20, 5))
    codes = Codes(mean, None, None)
    np.testing.assert_allclose(codes.project(mean[:3]), codes.plane[:3])
    flat = Codes(mean[:, :2], None, None)
    np.testing.assert_array_equal(flat.project(mean[:1, :2]), mean[:1, :2])
