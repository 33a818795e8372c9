"""What measures orders, against steps by hand: where it errs, every solver would."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import analytic, orders, predictions, sampling, schedules
from jaxdiff.diffusion.solvers import ddim, euler, restart

SCHEDULE = schedules.cosine()
MEAN, STD = orders.DATA.means[0, 0], orders.DATA.stds[0, 0]


def levels(t):
    return (float(f(jnp.asarray(t))) for f in (SCHEDULE.alpha, SCHEDULE.sigma))


def spread_by_hand(eta, ts):
    """Mean and standard deviation after DDIM's steps on normal data, from the exact.

    x0 = m + g (x_t - alpha_t m) is linear, and so is each step, x_s = k x_t + c + up z.
    """
    alpha, sigma = levels(ts[0])
    mean, variance = alpha * MEAN, (alpha * STD) ** 2 + sigma**2
    for s in ts[1:]:
        alpha_s, sigma_s = levels(s)
        gain = alpha * STD**2 / ((alpha * STD) ** 2 + sigma**2)
        up = eta * sigma_s * np.sqrt(1 - (alpha * sigma_s / (alpha_s * sigma)) ** 2)
        down = np.sqrt(sigma_s**2 - up**2) / sigma
        x0 = MEAN + gain * (mean - alpha * MEAN)
        mean = alpha_s * x0 + down * (mean - alpha * x0)
        slope = alpha_s * gain + down * (1 - alpha * gain)
        variance = slope**2 * variance + up**2
        alpha, sigma = alpha_s, sigma_s
    return mean, np.sqrt(variance), np.hypot(alpha * STD, sigma)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_the_spread_of_noisy_steps_is_that_by_hand(x64, eta):
    results = orders.measure(ddim.make, {"eta": eta}, SCHEDULE)
    assert results.noisy and results.mean < 1e-8
    t, s = (float(SCHEDULE.t_of(jnp.asarray(v))) for v in (orders.START, orders.END))
    for value, n in zip(results.values, orders.STEPS[True], strict=True):
        mean, std, exact = spread_by_hand(eta, orders.even(t, s, n))
        assert mean == pytest.approx(next(levels(s)) * MEAN, rel=1e-8)
        assert value == pytest.approx(abs(std / exact - 1), rel=1e-6)
    assert results.order == pytest.approx(
        np.log2(results.values[-2] / results.values[-1])
    )


def test_the_path_without_noise_is_that_by_hand(x64):
    """x_s = alpha_s x0 + sigma_s eps, of all columns, against the exact flow's end."""
    results = orders.measure(ddim.make, {"eta": 0.0}, SCHEDULE)
    assert not results.noisy
    t, s = (float(SCHEDULE.t_of(jnp.asarray(v))) for v in (orders.START, orders.END))
    alpha, sigma = levels(t)
    means = np.where(orders.NORMAL, alpha * MEAN, 0.0)
    x_T = means + np.hypot(alpha * STD, sigma) * orders.DEVIATES
    x = jnp.asarray(x_T[None])
    for time in orders.even(t, s, orders.STEPS[False][0])[1:]:
        x0 = analytic.posterior_mean(
            orders.DATA, x, jnp.asarray(alpha), jnp.asarray(sigma)
        )
        eps = (x - alpha * x0) / sigma
        alpha, sigma = levels(time)
        x = alpha * x0 + sigma * eps
    exact = analytic.transport(orders.DATA, SCHEDULE, x_T[None], t, s)
    error = np.abs(np.asarray(x) - exact).max() / np.hypot(alpha * STD, sigma)
    assert results.values[0] == pytest.approx(error, rel=1e-6)


def test_noise_that_is_a_tenth_too_large_is_found(x64):
    """Its error grows with the steps, to a tenth of the spread: no order at all."""

    def make(schedule):
        return sampling.make_solver(Partial(_louder, ddim.make(schedule, eta=1.0)))

    results = orders.measure(make, {}, SCHEDULE)
    assert 0.05 < results.values[-1] < 0.1 and results.order < 0


def _louder(solver, denoise, noise, x, t, s, state):
    return solver.step(denoise, lambda *where: 1.1 * noise(*where), x, t, s, state)


def test_churn_is_noise_of_the_whole_way(x64):
    results = orders.measure(euler.make, {"churn": 4.0}, SCHEDULE)
    assert results.noisy
    assert orders.of_steps({"churn": 4.0, "frame": "ve"}, 8) == {
        "churn": 0.5,
        "frame": "ve",
    }


def test_a_step_that_draws_more_than_once_is_refused(x64):
    fields = {"low": 0.5, "high": 2.0, "repeats": 2, "num_steps": 2}
    with pytest.raises(ValueError, match="only steps that draw once"):
        orders.measure(restart.make, fields, SCHEDULE)


def test_the_exact_network_of_every_prediction_gives_the_exact_denoiser(
    x64, prediction_name
):
    prediction = getattr(predictions, prediction_name)()
    denoise = orders.through_network(prediction, SCHEDULE)
    x = jnp.asarray(np.linspace(-2, 2, 12).reshape(3, 4))
    for t in (jnp.asarray(0.6), jnp.array([0.2, 0.5, 0.9])):
        got, expected = denoise(x, t), orders.exact_denoise(SCHEDULE, x, t)
        chex.assert_trees_all_close(got, expected, rtol=1e-9)
        assert got.var_frac is not None and (got.var_frac == 0.25).all()


def test_schedules_as_one_function_are_what_they_were(x64):
    made = [schedules.cosine(), schedules.edm(), schedules.linear_mix()]
    for schedule, plain in zip(orders.as_one(made), made, strict=True):
        for function, same in zip(schedule[:3], plain[:3], strict=True):
            value = jnp.asarray(0.3)
            chex.assert_trees_all_close(function(value), same(value), rtol=1e-12)
