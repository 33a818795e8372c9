"""Weights: each formula by hand, VDM's continuous loss, and finite at every time."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.diffusion import predictions, schedules, weights
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.predictions import native_weight
from jaxdiff.diffusion.weights import target_factor


def test_weights_by_hand(x64):
    # the cosine schedule is vp, and the angle of t = .5 is 45 degrees: snr = 1
    schedule = schedules.cosine()
    t = schedule.t_of(jnp.log(jnp.array([0.25, 1.0, 9.0])))
    c, snr = coeffs(schedule, t), np.array([0.25, 1.0, 9.0])
    angle = np.arctan(snr**-0.5)
    start, end = np.arctan(np.exp(-10)), np.arctan(np.exp(10))
    # log_snr = -2 log tan(a): its slope is -2 a' / (sin a cos a)
    slope = -2 * (end - start) / (np.sin(angle) * np.cos(angle))
    expected = {
        "edm": snr + 4,
        "elbo": -0.5 * snr * slope,
        "eps": snr,
        "min_snr": np.array([0.25, 1, 5]),
        "sigmoid": snr / (1 + np.exp(np.log(snr) - 2)),
        "x0": np.ones(3),
    }
    names = set(weights.__all__) - {"native"}
    assert set(expected) == names, "each weight stands above by hand: a new one too"
    for name, value in expected.items():
        got = getattr(weights, name)()(c)
        chex.assert_trees_all_close(got, value, rtol=1e-9, custom_message=name)


def test_native_leaves_the_error_of_the_target_alone(prediction_name):
    c = coeffs(schedules.cosine(), jnp.array([0.0, 0.3, 1.0]))
    row = getattr(predictions, prediction_name)()(c)
    chex.assert_trees_all_equal(target_factor(weights.native(), row, c), np.ones(3))


def test_the_factor_undoes_the_native_weight(x64, schedule):
    c = coeffs(schedule, jnp.array([0.1, 0.5, 0.9]))
    for prediction in predictions.__all__:
        row = getattr(predictions, prediction)()(c)
        for name in set(weights.__all__) - {"native"}:
            weight = getattr(weights, name)()
            got = target_factor(weight, row, c) * native_weight(row, c)
            message = f"{name} {prediction}"
            chex.assert_trees_all_close(
                got, weight(c), rtol=1e-9, custom_message=message
            )


def test_the_factor_turns_a_target_error_into_the_x0_error(x64, schedule):
    """weight |x0_hat - x0|^2 == factor |out - target|^2: eq. 2 of weights.py."""
    c, one = coeffs(schedule, jnp.array([0.2, 0.5, 0.9])), jnp.ones((3, 1))
    x0, eps = 0.4 * one, -1.1 * one
    x_t = c.alpha[:, None] * x0 + c.sigma[:, None] * eps
    for name in predictions.__all__:
        row = getattr(predictions, name)()(c)
        target = predictions.make_target(row, x0, eps)
        # an error of the target's size, so that neither side loses its digits
        error = 0.3 * (abs(row[0]) + abs(row[1]))[:, None]
        guess = predictions.to_x0(row, c, x_t, target + error)
        got = target_factor(weights.x0(), row, c) * jnp.square(error)[:, 0]
        expected = jnp.square(guess - x0)[:, 0]
        chex.assert_trees_all_close(got, expected, rtol=1e-6, custom_message=name)


def test_elbo_of_eps_is_half_the_slope_of_gamma(x64):
    # VDM: .5 gamma'(t) |eps - eps_hat|^2, and gamma is linear from -13.3 to 5
    c = coeffs(schedules.linear_log_snr(), jnp.linspace(0.02, 0.98, 9))
    got = target_factor(weights.elbo(), predictions.eps()(c), c)
    chex.assert_trees_all_close(got, np.full(9, 0.5 * 18.3), rtol=1e-9)


def test_the_discrete_bound_tends_to_the_continuous_one(x64):
    # .5 T expm1(gamma_t - gamma_s), s = t - 1 / T: the difference falls as 1 / T
    schedule, t = schedules.cosine(), jnp.array([0.3, 0.6, 0.9])
    c = coeffs(schedule, t)
    continuous = target_factor(weights.elbo(), predictions.eps()(c), c)
    errors = []
    for steps in (500, 1000, 2000):
        rise = schedule.log_snr(t - 1 / steps) - schedule.log_snr(t)
        discrete = 0.5 * steps * np.expm1(np.asarray(rise))
        errors.append(np.abs(discrete - continuous) / continuous)
    chex.assert_trees_all_close(errors[0] / errors[1], 2, atol=0.05, rtol=1e-7)
    chex.assert_trees_all_close(errors[1] / errors[2], 2, atol=0.05, rtol=1e-7)


def test_every_factor_is_finite_at_every_time(schedule):
    # the ends, the smallest t = 1 - u in float32, and some between
    t = jnp.array([0.0, 2**-23, 2**-20, 1e-4, 0.5, 1.0])
    c = coeffs(schedule, t)
    for prediction in predictions.__all__:
        row = getattr(predictions, prediction)()(c)
        for name in weights.__all__:
            factor = target_factor(getattr(weights, name)(), row, c)
            assert np.isfinite(factor).all(), (prediction, name, factor)
            # and it is a real weight in the middle, not a finite nothing
            assert float(factor[4]) > 0, (prediction, name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weights.min_snr(0.0), r"gamma=0\.0"),
        (lambda: weights.edm(-1.0), r"sigma_data=-1\.0"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
