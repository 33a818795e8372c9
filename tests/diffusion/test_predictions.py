"""Predictions: EDM's published coefficients, and law 6: all predictions agree.

Data N(MU, S^2) has a closed-form denoiser. Written as each prediction's target it must
come back as the same x0 and the same x0-weighted loss, at every schedule and scaling.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.diffusion import inputs, losses, noises, predictions, schedules, weights
from jaxdiff.diffusion.denoisers import make_denoise
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.losses import Objective, denoising_loss
from jaxdiff.diffusion.predictions import make_target, native_weight, to_x0
from jaxdiff.diffusion.types import Coeffs

MU, S = 0.3, 0.7
TIMES = np.array([0.05, 0.2, 0.5, 0.8, 0.97])


def exact(x_t, alpha, sigma):
    """E[x0 | x_t] and E[eps | x_t] of data N(MU, S^2)."""
    variance = (alpha * S) ** 2 + sigma**2
    centred = x_t - alpha * MU
    return MU + alpha * S**2 / variance * centred, sigma / variance * centred


def exact_network(prediction):
    def network(x_t, c, cond):
        x0, eps = exact(x_t, c.alpha[:, None], c.sigma[:, None])
        return make_target(prediction(c), x0, eps)

    return Partial(network)


def edm_at(sigma):
    schedule = schedules.edm()
    return coeffs(schedule, jnp.asarray((sigma / 80.0) ** (1 / 7)))


# --- EDM's table 1, read off from the row ---


def test_edm_has_the_published_coefficients(x64, assert_listed):
    c = edm_at(np.array([0.5, 1.0]))
    row, one, nil = predictions.edm(0.5)(c), jnp.ones(2), jnp.zeros(2)
    assert_listed(to_x0(row, c, one, nil), "0.5", "0.2")  # c_skip: D of x = 1, F = 0
    assert_listed(to_x0(row, c, nil, one), "0.353553", "0.447214")  # c_out
    assert_listed(inputs.unit_variance(c, 0.5), "1.414214", "0.894427")  # c_in
    assert_listed(inputs.log_std()(c)[:1], "-0.173287")  # c_noise
    assert abs(float(inputs.log_std()(c)[1])) < 1e-12
    chex.assert_trees_all_close(weights.edm(0.5)(c), np.asarray([8, 5]), rtol=1e-12)
    # the weight is 1 / c_out^2: EDM's loss is the plain error of F
    chex.assert_trees_all_close(native_weight(row, c), np.asarray([8, 5]), rtol=1e-12)


def test_targets_by_hand():
    # alpha = .6, sigma = .8 and slopes -2, 1.5; x0 = 2, eps = -1
    half = jnp.full(1, 0.5)
    c = Coeffs(half, half * 1.2, half * 1.6, half * -4, half * 3, half)
    size = np.sqrt(0.64 + 0.25 * 0.36)
    expected = {
        "x0": 2,
        "eps": -1,
        "v": 0.6 * -1 - 0.8 * 2,
        "score": 1 / 0.8,
        "velocity": -2 * 2 + 1.5 * -1,
        "edm": 0.8 / (0.5 * size) * 2 - 0.5 * 0.6 / size * -1,
    }
    names = set(predictions.__all__)
    assert set(expected) == names, "each prediction stands above by hand: a new one too"
    for name, target in expected.items():
        row = getattr(predictions, name)()(c)
        got = make_target(row, jnp.full((1, 3), 2.0), jnp.full((1, 3), -1.0))
        chex.assert_trees_all_close(got, np.full((1, 3), target), rtol=1e-6)


def test_velocity_is_the_slope_of_the_path(x64, schedule):
    x0, eps, h = 1.3, -0.4, 1e-6
    t = jnp.array([0.2005, 0.7005])  # in the middle of a table's cells

    def path(t):
        return schedule.alpha(t) * x0 + schedule.sigma(t) * eps

    row = predictions.velocity()(coeffs(schedule, t))
    got = make_target(row, jnp.full(2, x0), jnp.full(2, eps))
    chex.assert_trees_all_close(got, (path(t + h) - path(t - h)) / (2 * h), rtol=1e-6)


def test_score_is_the_gradient_of_log_p(x64):
    schedule, t = schedules.cosine(), jnp.array([0.4])
    c = coeffs(schedule, t)
    alpha, sigma = float(c.alpha[0]), float(c.sigma[0])

    def log_p(x):
        return -0.5 * (x - alpha * MU) ** 2 / ((alpha * S) ** 2 + sigma**2)

    got = exact_network(predictions.score())(jnp.array([[0.9]]), c, None)
    assert float(got[0, 0]) == pytest.approx(float(jax.grad(log_p)(0.9)), rel=1e-12)


# --- law 6 ---


def test_every_prediction_gives_the_same_x0(x64, schedule, prediction_name):
    prediction = getattr(predictions, prediction_name)()
    denoise = make_denoise(
        exact_network(prediction), schedule=schedule, prediction=prediction
    )
    alpha, sigma = (np.asarray(f(jnp.asarray(TIMES)))[:, None] for f in schedule[:2])
    x_t = alpha * MU + np.hypot(alpha * S, sigma) * np.array([-1.5, 0.2, 2.0])
    got = denoise(jnp.asarray(x_t), jnp.asarray(TIMES), None).x0
    chex.assert_trees_all_close(got, exact(x_t, alpha, sigma)[0], rtol=1e-8)


def x0_loss(keys, schedule, prediction, ts, x0, weight):
    objective = Objective(
        schedule=schedule,
        prediction=prediction,
        times=Partial(lambda at, u: at, jnp.asarray(ts)),
        weight=weight,
        distance=losses.mse(),
        noise=noises.normal(),
    )
    return denoising_loss(keys, exact_network(prediction), x0, None, objective)[0]


def test_every_prediction_gives_the_same_loss(x64, schedule, prediction_name):
    prediction = getattr(predictions, prediction_name)()
    keys = rng.batch_keys(jax.random.key(1), jnp.arange(5), 5)
    x0 = jnp.linspace(-1, 1, 20).reshape(5, 4)
    got = x0_loss(keys, schedule, prediction, TIMES, x0, weights.x0())
    eps = rng.draw(jax.random.normal, rng.fold(keys.key, 1), (4,))
    alpha, sigma = (np.asarray(f(jnp.asarray(TIMES)))[:, None] for f in schedule[:2])
    guess, _ = exact(alpha * x0 + sigma * eps, alpha, sigma)
    # near the clean end x0's error is sigma times smaller than what it is cancelled
    # from: 1e-7 is EDM's .05, sigma = 6e-8, in float64
    expected = np.mean((np.asarray(guess) - np.asarray(x0)) ** 2, axis=1)
    chex.assert_trees_all_close(got, expected, rtol=1e-6)


def test_the_ends_are_finite_and_exact(schedule, prediction_name):
    prediction = getattr(predictions, prediction_name)()
    denoise = make_denoise(
        exact_network(prediction), schedule=schedule, prediction=prediction
    )
    t, x_t = jnp.array([0.0, 1.0]), jnp.array([[-0.7, 0.9], [-0.7, 0.9]])
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    got, expected = denoise(x_t, t, None).x0, np.array(exact(x_t, alpha, sigma)[0])
    amplified = 1.0
    if prediction_name in ("eps", "score"):
        if float(alpha[1, 0]) == 0:
            expected[1] = 0  # to_x0: noise and its estimate do not depend on the data
        else:
            # x0 = (x_t - sigma eps) / alpha multiplies the rounding of x_t
            amplified = max(1.0, float(sigma[1, 0] / alpha[1, 0]))
    eps = float(jnp.finfo(x_t.dtype).eps)
    chex.assert_trees_all_close(got[0], expected[0], atol=16 * eps, rtol=1e-7)
    chex.assert_trees_all_close(
        got[1], expected[1], atol=16 * eps * amplified, rtol=1e-7
    )
    keys = rng.batch_keys(jax.random.key(1), jnp.arange(2), 2)
    for weight in (weights.x0(), weights.native()):
        loss = x0_loss(keys, schedule, prediction, t, x_t, weight)
        assert np.isfinite(loss).all()


def test_edm_refuses_a_spread_that_is_not_positive():
    with pytest.raises(ValueError, match=r"sigma_data=-0\.5"):
        predictions.edm(-0.5)
