"""Rules of guidance, by hand and by what they leave as it is."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import rules, schedules
from jaxdiff.diffusion.guidance import autoguidance, cfg
from jaxdiff.diffusion.solvers import ddim
from jaxdiff.diffusion.types import Denoised

SCHEDULE = schedules.linear_mix()
T = jnp.array(0.6)
C, N, X = (
    jnp.asarray(np.sin(k * np.arange(1.0, 25.0)).reshape(2, 3, 4)) for k in (1, 2, 5)
)


def guided(rule, scale, t=T, schedule=SCHEDULE):
    return rule(schedule, scale, X, t, Denoised(C), Denoised(N))


@pytest.mark.parametrize("name", rules.__all__)
def test_scale_one_is_the_main_model_and_nothing_is_infinite(name):
    rule = getattr(rules, name)()
    chex.assert_trees_all_close(guided(rule, 1.0).x0, C, rtol=1e-5, atol=1e-6)
    for t in (1.0, 0.5, 1e-3):
        for schedule in (SCHEDULE, schedules.cosine(), schedules.edm()):
            x0 = guided(rule, 4.0, jnp.array(t), schedule).x0
            assert np.isfinite(x0).all() and float(jnp.abs(x0).max()) < 1e3


@pytest.mark.parametrize("name", ["linear", "rescaled", "plus_plus"])
def test_scale_zero_is_the_other_model(name):
    x0 = np.asarray(guided(getattr(rules, name)(), 0.0).x0)
    ratio = C.std((1, 2), keepdims=True) / N.std((1, 2), keepdims=True)
    scale = 0.7 * ratio + 0.3 if name == "rescaled" else 1.0
    chex.assert_trees_all_close(x0, N * scale, rtol=1e-5)


def test_rescaled_has_the_main_deviation_of_each_image():
    x0 = np.asarray(guided(rules.rescaled(1.0), 5.0).x0)
    chex.assert_trees_all_close(x0.std((1, 2)), np.asarray(C).std((1, 2)), rtol=1e-5)
    plain = guided(rules.linear(), 5.0).x0
    chex.assert_trees_all_close(guided(rules.rescaled(0.0), 5.0).x0, plain, rtol=1e-6)
    assert (np.asarray(plain).std((1, 2)) > 2 * x0.std((1, 2))).all()


def test_apg_moves_across_and_no_further_than_norm():
    plain = guided(rules.linear(), 5.0).x0
    chex.assert_trees_all_close(
        guided(rules.apg(1.0), 5.0).x0, plain, rtol=1e-4, atol=1e-5
    )
    moved = np.asarray(guided(rules.apg(), 5.0).x0 - C)
    chex.assert_trees_all_close(
        (moved * np.asarray(C)).sum((1, 2)), 0, atol=1e-4, rtol=1e-7
    )
    length = np.sqrt((np.asarray(C - N) ** 2).sum((1, 2)))
    assert (length > 0.5).all()
    cut = np.asarray(guided(rules.apg(1.0, norm=0.5), 5.0).x0 - C)
    chex.assert_trees_all_close(np.sqrt((cut**2).sum((1, 2))), 4 * 0.5, rtol=1e-5)


def test_plus_plus_keeps_the_others_noise():
    """x_s = alpha_s x0 + sigma_s (x_t - alpha_t n) / sigma_t, x0 guided: their step."""

    def denoise(x, t, cond):
        return Denoised(jnp.where(cond[:, None, None] == 9, N, C))

    def doubled(x, t, cond):
        return Denoised(jnp.concatenate([C, N]))

    wrapped = cfg(Partial(doubled), 9, 0.4, schedule=SCHEDULE, rule=rules.plus_plus())
    s, labels = jnp.array(0.3), jnp.array([0, 1])
    got, _ = ddim.make(SCHEDULE).step(
        lambda x, t: wrapped(x, t, labels), lambda: jnp.zeros_like(X), X, T, s, ()
    )
    x0 = 0.4 * C + 0.6 * N
    expected = 0.7 * x0 + 0.3 * (X - 0.4 * N) / 0.6
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-6)


def test_zero_star_by_hand():
    # of the linear mix v = eps - x0 = (x - x0) / t
    main, base = np.asarray(X - C) / 0.6, np.asarray(X - N) / 0.6
    match = (main * base).sum((1, 2)) / (base * base).sum((1, 2))
    base = match[:, None, None] * base
    v = base + 3.0 * (main - base)
    got = guided(rules.zero_star(), 3.0).x0
    chex.assert_trees_all_close(got, np.asarray(X) - 0.6 * v, rtol=1e-4, atol=1e-5)
    still = guided(rules.zero_star(zero=0.5), 3.0).x0  # t = .6 is above 1 - .5
    chex.assert_trees_all_close(still, X, rtol=1e-5)


def test_outside_its_interval_there_is_no_guidance():
    def doubled(x, t, cond):
        return Denoised(jnp.concatenate([C, N]))

    labels = jnp.array([0, 1])
    # at t = .6 sigma / alpha is 1.5
    for interval, scale in (((0.5, 2.0), 3.0), ((2.0, 9.0), 1.0), ((0.0, 1.0), 1.0)):
        wrapped = cfg(Partial(doubled), 9, 3.0, schedule=SCHEDULE, interval=interval)
        x0 = wrapped(X, T, labels).x0
        chex.assert_trees_all_close(x0, N + scale * (C - N), rtol=1e-5, atol=1e-6)


def test_outside_its_interval_cfg_plus_plus_keeps_the_main_noise_too():
    def doubled(x, t, cond):
        return Denoised(jnp.concatenate([C, N]))

    def noise(interval):
        how = {"schedule": SCHEDULE, "rule": rules.plus_plus(), "interval": interval}
        return cfg(Partial(doubled), 9, 1.0, **how)(X, T, jnp.array([0, 1])).eps

    # of the linear mix eps = (x - (1 - t) x0) / t
    for interval, x0 in (((0.5, 2.0), N), ((2.0, 9.0), C)):
        chex.assert_trees_all_close(noise(interval), (X - 0.4 * x0) / 0.6, rtol=1e-5)


def test_rescaled_keeps_what_has_no_spread():
    flat = Denoised(jnp.full((2, 1), 0.8))
    got = rules.rescaled()(SCHEDULE, 1.0, jnp.ones((2, 1)), T, flat, flat)
    chex.assert_trees_all_close(got.x0, flat.x0)


@pytest.mark.parametrize("name", ["linear_mix", "edm", "linear_beta"])
def test_zero_star_is_x_t_at_the_data(name):
    schedule = getattr(schedules, name)()
    x0 = guided(rules.zero_star(), 3.0, jnp.zeros(()), schedule).x0
    chex.assert_trees_all_close(x0, X / schedule.alpha(jnp.zeros(())), rtol=1e-5)


def test_autoguidance_leads_away_from_the_weaker():
    def model(x0, x, t, cond):
        return Denoised(x0 * cond[:, None, None])

    labels = jnp.array([2, 3])
    wrapped = autoguidance(Partial(model, C), Partial(model, N), 1.5)
    expected = (1.5 * C - 0.5 * N) * jnp.array([2, 3])[:, None, None]
    chex.assert_trees_all_close(
        wrapped(X, T, labels).x0, expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rules.rescaled(1.5), r"phi must be in \[0, 1\], got phi=1\.5"),
        (lambda: rules.apg(norm=0.0), r"norm must be above 0, got norm=0\.0"),
        (lambda: rules.zero_star(1.0), r"zero must be in \[0, 1\), got zero=1\.0"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
