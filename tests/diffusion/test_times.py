"""Time samplers: each has the law that it states, and noises theirs."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxdiff.diffusion import noises, schedules, times

N = 4000


def strata():
    """The middles of N equal parts: a sample as even as can be, for any quantile."""
    return (jnp.arange(N) + 0.5) / N


def assert_law(values, cdf):
    # values at the quantiles' middles are within half a part of the law
    assert stats.kstest(np.asarray(values), cdf).statistic <= 0.51 / N


def test_uniform_is_uniform_and_never_zero(x64):
    sampler = times.uniform(schedules.cosine())
    assert_law(sampler(strata()), stats.uniform.cdf)
    chex.assert_trees_all_equal(
        sampler(jnp.array([0.0, 0.75, 1 - 2.0**-30])), np.asarray([1, 0.25, 2.0**-30])
    )


def test_logit_normal_has_a_normal_logit(x64):
    t = times.logit_normal(schedules.cosine(), mean=0.4, std=0.7)(strata())
    assert_law(np.log(t / (1 - t)), stats.norm(0.4, 0.7).cdf)


def test_lognormal_sigma_has_a_normal_log_sigma(x64):
    # EDM's curve has every noise level; of the others those within their ends
    for schedule in (schedules.edm(), schedules.vp_sde(), schedules.linear_mix()):
        t = times.lognormal_sigma(schedule)(strata())
        sigma = schedule.sigma(t) / schedule.alpha(t)
        assert_law(np.log(sigma), stats.norm(-1.2, 1.2).cdf)


def test_log_uniform_sigma_has_a_uniform_log_sigma(x64):
    for schedule in (schedules.edm(), schedules.linear_mix()):
        t = times.log_uniform_sigma(schedule, low=0.02, high=100.0)(strata())
        sigma = schedule.sigma(t) / schedule.alpha(t)
        law = stats.uniform(np.log(0.02), np.log(100 / 0.02))
        assert_law(np.log(sigma), law.cdf)


@pytest.mark.parametrize("num_steps", [7, 1000])
def test_discrete_takes_each_entry_of_the_table_alike(num_steps):
    u = (jnp.arange(3 * num_steps) + 0.5) / (3 * num_steps)
    t = times.discrete(schedules.linear_beta(), num_steps)(u)
    entries, counts = np.unique(np.asarray(t), return_counts=True)
    # XLA divides to within one unit of the last place
    expected = (np.arange(num_steps) + 1) / num_steps
    chex.assert_trees_all_close(entries, expected, rtol=1.8e-7)
    chex.assert_trees_all_equal(counts, 3)


def test_every_sampler_is_finite_positive_and_monotone(times_name, schedule_name):
    schedule = getattr(schedules, schedule_name)()
    u = jnp.concatenate(
        [jnp.linspace(0, 1, 500, endpoint=False), 1 - jnp.array(2**-23)[None]]
    )
    t = np.asarray(getattr(times, times_name)(schedule)(u))
    assert np.isfinite(t).all()
    steps = np.diff(t)
    assert (steps >= 0).all() or (steps <= 0).all()
    if not times_name.endswith("_sigma"):  # which may need times above 1
        assert (t > 0).all() and (t <= 1).all()


@pytest.mark.parametrize(
    ("noise", "cdf"), [("normal", stats.norm.cdf), ("uniform", stats.uniform.cdf)]
)
def test_noises_have_their_law(noise, cdf):
    z = getattr(noises, noise)()(jax.random.key(0), (20_000,), jnp.float32)
    # the statistic exceeds 1.95 / sqrt(n) with probability .001
    assert stats.kstest(np.asarray(z), cdf).statistic < 1.95 / 20_000**0.5
    if noise == "uniform":
        assert float(z.min()) >= 0 and float(z.max()) < 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: times.discrete(s, 0), "num_steps=0"),
        (lambda s: times.logit_normal(s, std=0.0), r"std=0\.0"),
        (lambda s: times.lognormal_sigma(s, std=-1.0), r"std=-1\.0"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(schedules.cosine())


def test_levels_can_be_mapped_over():
    def levels(low):
        return times.log_uniform_sigma(schedules.edm(), low=low)(jnp.array([0.1, 0.9]))

    lows = jnp.array([0.01, 0.1])
    expected = jnp.stack([levels(0.01), levels(0.1)])
    chex.assert_trees_all_close(jax.vmap(levels)(lows), expected, rtol=1e-5)
