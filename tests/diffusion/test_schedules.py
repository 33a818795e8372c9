"""Schedules and scalings: published tables, exact ends, inverses and derivatives."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import scalings, schedules
from jaxdiff.diffusion.levels import LOG_SNR_LIMIT, coeffs, level
from jaxdiff.diffusion.schedules.tables import (
    cosine_betas,
    from_alpha_bar,
    linear_betas,
    to_alpha_bar,
    zero_terminal_snr,
)

EXACT_DATA_END = {
    "cosine_beta",
    "edm",
    "linear_beta",
    "linear_mix",
    "scaled_linear_beta",
    "sigmoid",
}
VARIANCE_PRESERVING = set(schedules.__all__) - {"edm", "linear_mix"}


def bar(schedule, num_steps, *entries):
    """alpha_bar at entries of a table: equation 3."""
    return schedule.alpha(jnp.array([(i + 1) / num_steps for i in entries])) ** 2


def ratio(schedule, *t):
    return schedule.sigma(jnp.array(t)) / schedule.alpha(jnp.array(t))


# --- published figures (FACTS.md, "Schedules") ---


def test_linear_beta_has_the_published_table(x64, assert_listed):
    schedule = schedules.linear_beta()
    assert_listed(bar(schedule, 1000, 0, 499, 999), "0.9999", "0.0785872", "4.0358e-5")
    assert_listed(ratio(schedule, 1e-3, 1.0), "0.0100005", "157.407")
    fine = schedules.linear_beta(num_steps=4000)
    assert_listed(bar(fine, 4000, 3999), "4.24665e-5")


def test_linear_beta_agrees_with_the_products_at_every_entry(x64):
    products, product = [], 1.0
    for i in range(1000):
        product *= 1 - (1e-4 + (0.02 - 1e-4) * i / 999)
        products.append(product)
    got = bar(schedules.linear_beta(), 1000, *range(1000))
    chex.assert_trees_all_close(got, np.array(products), rtol=1e-12)


def test_cosine_beta_has_the_published_table(x64, assert_listed):
    betas = cosine_betas(1000)
    assert_listed(betas[[0, 999]], "4.12842e-5", "0.999")
    got = bar(schedules.cosine_beta(), 1000, 499, 998, 999)
    assert_listed(got, "0.493844", "2.4288e-6", "2.4288e-9")


def test_scaled_linear_beta_ends_at_stable_diffusions_noise(x64, assert_listed):
    assert_listed(ratio(schedules.scaled_linear_beta(), 1.0), "14.6146")


def test_zero_terminal_snr_keeps_the_first_and_clears_the_last(assert_listed):
    table = to_alpha_bar(linear_betas(1000))
    mended = zero_terminal_snr(table)
    assert_listed(mended[0], "0.9999")
    assert mended[0] == pytest.approx(table[0], rel=1e-14)
    assert mended[-1] == 0
    # between the ends sqrt(alpha_bar) is an affine function of what it was
    slope = np.diff(np.sqrt(mended)) / np.diff(np.sqrt(table))
    chex.assert_trees_all_close(slope, slope[0], rtol=1e-9)


def test_cosine_has_the_published_log_snr(x64, assert_listed):
    got = schedules.cosine().log_snr(jnp.array([0, 0.25, 0.5, 1.0]))
    assert_listed(got[jnp.array([0, 1, 3])], "20", "1.762619", "-20")
    assert abs(float(got[2])) < 1e-12
    chex.assert_trees_all_close(
        got[jnp.array([0, 3])], np.asarray([20, -20]), rtol=1e-10
    )


def test_vp_sde_has_the_published_ends(x64, assert_listed):
    assert_listed(ratio(schedules.vp_sde(), 1e-3, 1.0), "0.0104860", "152.167")


def test_linear_log_snr_has_the_published_ends(x64, assert_listed):
    schedule = schedules.linear_log_snr()
    variance = schedule.sigma(jnp.array([0.0, 1.0])) ** 2
    assert_listed(variance, "1.6745e-6", "0.993307")
    t = jnp.array([0.0, 0.2, 1.0])
    chex.assert_trees_all_close(schedule.log_snr(t), 13.3 - 18.3 * t, rtol=1e-9)


def test_angle_is_the_articles_formula(x64):
    schedule, t = schedules.angle(), np.linspace(0, 1, 7)
    start, end = np.arccos(0.95), np.arccos(0.02)
    angles = start + t * (end - start)
    chex.assert_trees_all_close(
        schedule.alpha(jnp.asarray(t)), np.cos(angles), rtol=1e-13
    )
    chex.assert_trees_all_close(
        schedule.sigma(jnp.asarray(t)), np.sin(angles), rtol=1e-13
    )
    assert float(schedule.alpha(jnp.ones(()))) == pytest.approx(0.02, rel=1e-12)
    assert float(schedule.sigma(jnp.zeros(()))) == pytest.approx(0.3122499, abs=1e-7)


def test_sigmoid_is_the_articles_formula(x64):
    t = np.linspace(0, 1, 9)

    def y(t):
        return 1 / (1 + np.exp(-6 * ((2 * t - 1) + 0.5)))

    variance = 0.99996 * (y(t) - y(0.0)) / (y(1.0) - y(0.0))
    schedule = schedules.sigmoid()
    got = schedule.alpha(jnp.asarray(t)), schedule.sigma(jnp.asarray(t))
    chex.assert_trees_all_close(got[0] ** 2, 1 - variance, rtol=1e-10)
    chex.assert_trees_all_close(got[1] ** 2, variance, rtol=1e-12)


def test_linear_mix_is_the_straight_path_exactly():
    schedule, t = schedules.linear_mix(), jnp.array([0.0, 0.25, 0.75, 1.0])
    chex.assert_trees_all_equal(schedule.alpha(t), np.asarray([1, 0.75, 0.25, 0]))
    chex.assert_trees_all_equal(schedule.sigma(t), np.asarray([0, 0.25, 0.75, 1]))


def test_edm_is_a_power_of_time():
    schedule = schedules.edm(sigma_max=3.0, rho=2.0)
    t = jnp.array([0.0, 0.5, 1.0])
    chex.assert_trees_all_equal(schedule.alpha(t), np.asarray([1, 1, 1]))
    chex.assert_trees_all_close(schedule.sigma(t), np.asarray([0, 0.75, 3]), rtol=1e-6)


# --- every schedule, every scaling ---


def test_sigma_starts_at_zero_where_the_source_does(pair, schedule):
    zero = jnp.zeros(())
    sigma = float(schedule.sigma(zero))
    if pair[0] in EXACT_DATA_END:
        assert sigma == 0
        assert float(schedule.alpha(zero)) == 1
    else:
        assert 0 <= sigma < 0.34  # angle's, the noisiest, is .312, over alpha .329


def test_scalings_keep_their_identity_and_the_log_snr(x64, pair, schedule):
    name, scaling = pair
    given, t = getattr(schedules, name)(), jnp.linspace(0.01, 1, 50)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if scaling == "vp" or (scaling == "unscaled" and name in VARIANCE_PRESERVING):
        chex.assert_trees_all_close(alpha**2 + sigma**2, 1, rtol=1e-12)
    if scaling == "ve":
        chex.assert_trees_all_equal(alpha, jnp.ones(50))
    if scaling == "flow":
        chex.assert_trees_all_close(alpha + sigma, 1, rtol=1e-14)
    with np.errstate(divide="ignore"):
        expected = 2 * np.log(np.asarray(given.alpha(t)) / np.asarray(given.sigma(t)))
        chex.assert_trees_all_close(
            2 * np.log(alpha / sigma), expected, atol=1e-11, rtol=1e-7
        )
    chex.assert_trees_all_close(schedule.log_snr(t), expected, atol=1e-11, rtol=1e-7)


@pytest.mark.parametrize("double", [False, True])
def test_log_snr_falls_strictly_over_a_thousand_steps(schedule_name, double):
    with jax.enable_x64(double):
        schedule = getattr(schedules, schedule_name)()
        log_snr = schedule.log_snr(jnp.arange(1001) / 1000)
    assert np.all(np.diff(np.asarray(log_snr)) < 0)


def test_t_of_undoes_log_snr(x64, schedule):
    t = jnp.linspace(0.01, 0.99, 99)
    chex.assert_trees_all_close(
        schedule.t_of(schedule.log_snr(t)), t, atol=1e-9, rtol=1e-7
    )


def test_t_of_undoes_log_snr_in_single_precision(schedule):
    # 1e-4 is a tenth of a step of a thousand
    t = jnp.linspace(0.01, 0.99, 99)
    chex.assert_trees_all_close(
        schedule.t_of(schedule.log_snr(t)), t, atol=1e-4, rtol=1e-7
    )


def test_coeffs_are_central_differences(x64, schedule):
    # in the middle of table cells, where the interpolated tables are smooth; the
    # difference quotient of sigma ~ t^7 errs by 35 (h / t)^2 = 3e-9
    t, h = (jnp.arange(100, 1000, 57) + 0.5) / 1000, 1e-6
    c = coeffs(schedule, t)
    for value, slope, function in [
        (c.alpha, c.d_alpha, schedule.alpha),
        (c.sigma, c.d_sigma, schedule.sigma),
    ]:
        chex.assert_trees_all_equal(value, function(t))
        expected = (function(t + h) - function(t - h)) / (2 * h)
        chex.assert_trees_all_close(slope, expected, rtol=1e-7, atol=1e-8)
    chex.assert_trees_all_close(c.log_snr, schedule.log_snr(t), rtol=1e-12)


def test_coeffs_are_exact_and_finite_at_both_ends(schedule):
    t = jnp.array([0.0, 1.0])
    c = coeffs(schedule, t)
    assert all(np.isfinite(leaf).all() for leaf in c)
    chex.assert_trees_all_equal(c.alpha, schedule.alpha(t))
    chex.assert_trees_all_equal(c.sigma, schedule.sigma(t))
    limit = LOG_SNR_LIMIT
    chex.assert_trees_all_close(
        c.log_snr, np.clip(schedule.log_snr(t), -limit, limit), rtol=1e-6
    )


def test_level_is_the_data_at_zero_and_the_schedule_elsewhere():
    schedule = schedules.angle()  # the one whose own sigma(0) is not 0
    alpha, sigma = level(schedule, jnp.array([0.0, 0.5]))
    assert (float(alpha[0]), float(sigma[0])) == (1, 0)
    assert float(alpha[1]) == float(schedule.alpha(jnp.array(0.5)))
    assert float(sigma[1]) == float(schedule.sigma(jnp.array(0.5)))


def test_schedules_of_one_maker_share_their_structure():
    # so that jit, keyed on structure, compiles once for both
    a, b = schedules.edm(80.0), schedules.edm(50.0)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    a, b = schedules.linear_beta(), schedules.linear_beta(beta_end=0.01)
    assert jax.tree.structure(a) == jax.tree.structure(b)


def test_schedule_parameters_differentiate():
    # sigma = S t^rho: d sigma / d S = t^rho,  d sigma / d rho = S t^rho log t
    slopes = jax.grad(lambda schedule: schedule.sigma(jnp.array(0.5)))(
        schedules.edm(3.0, 2.0)
    )
    assert [float(leaf) for leaf in jax.tree.leaves(slopes)[:2]] == pytest.approx(
        [0.25, 0.75 * np.log(0.5)], rel=1e-6
    )


# --- the tables and what is refused ---


def test_from_alpha_bar_is_log_linear_between_entries(x64):
    schedule = from_alpha_bar(np.array([0.81, 0.25]))
    t = jnp.array([0.25, 0.5, 0.75, 1.0])
    # sqrt of 1 x .81, of .81 and .81 x .25 geometric means
    expected = [0.81**0.25, 0.9, (0.81 * 0.25) ** 0.25, 0.5]
    chex.assert_trees_all_close(schedule.alpha(t), np.array(expected), rtol=1e-13)


def test_ve_refuses_a_schedule_that_ends_in_pure_noise():
    with pytest.raises(ValueError, match="alpha\\(1\\) > 0; use 'vp'"):
        scalings.ve(schedules.linear_mix())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Partial(from_alpha_bar, np.array([0.5, 0.6])), "from 0.6 to 0.5"),
        (Partial(from_alpha_bar, np.array([0.5, 0.0])), "from 0.5 to 0.0"),
        (Partial(from_alpha_bar, np.array([[0.5]])), r"table.shape=\(1, 1\)"),
        (Partial(schedules.linear_beta, 1), "num_steps=1"),
        (Partial(schedules.linear_beta, 10), "got 0.01 to 2 from num_steps=10"),
        (Partial(schedules.scaled_linear_beta, beta_end=1.5), "beta_end=1.5"),
        (Partial(schedules.cosine_beta, max_beta=1.0), "max_beta=1.0"),
        (Partial(schedules.cosine, 3.0, 2.0), r"3\.0.*2\.0"),
        (Partial(schedules.angle, 0.9, 0.5), r"got 0\.9.*0\.5"),
        (Partial(schedules.linear_log_snr, -5.0, 13.3), r"start=-5\.0.*end=13\.3"),
        (Partial(schedules.vp_sde, 0.0), "beta_min=0.0"),
        (Partial(schedules.sigmoid, stop=1.0), "stop=1.0"),
        (Partial(schedules.sigmoid, -1.0), "gain=-1.0"),
        (Partial(schedules.edm, -80.0), "sigma_max=-80.0"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
