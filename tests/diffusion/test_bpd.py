"""The estimates of bits per dimension against closed forms of a normal law."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy import stats

from jaxdiff import choices, rng
from jaxdiff.arrays import expand
from jaxdiff.diffusion import bpd, likelihood, schedules
from jaxdiff.diffusion.types import Denoised

STD, MANY = 0.5, 2000
ESTIMATES = choices.members(bpd)


def normal(schedule, x_t, t, cond):
    """E[x0 | x_t] of values that are N(0, STD^2) each, moved by the condition."""
    alpha, sigma = (expand(f(t), x_t) for f in schedule[:2])
    mean = 0.0 if cond is None else cond[:, None]
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    return Denoised(mean + gain * (x_t - alpha * mean))


def make(width=0.0, decoder=None, cleanest=1e-3):
    schedule = schedules.cosine()
    decoder = decoder or likelihood.density()
    return bpd.Model(Partial(normal, schedule), schedule, decoder, cleanest, width)


def draw(shape, seed=0):
    x0 = jnp.asarray(np.random.default_rng(seed).normal(0, STD, shape))
    return rng.split_by(jax.random.key(seed), jnp.arange(len(x0))), x0


def estimate(name, model, keys, x0, cond=None, num=60):
    return jax.jit(ESTIMATES[name], static_argnums=4)(model, keys, x0, cond, num)


def agrees(values, expected, sds=4.0):
    """The mean of values is what it should be, within its own standard error."""
    values = np.asarray(values, np.float64)
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - expected) < sds * error + 1e-9, values.mean()


def bits(x0, mean=0.0):
    """-log2 of the density, over the values of each example."""
    return -stats.norm.logpdf(x0, mean, STD).mean(axis=1) / np.log(2)


def test_they_are_listed_from_the_cheapest():
    assert [*ESTIMATES] == ["continuous", "discrete", "flow"]


def test_a_bound_is_the_sum_of_its_parts(x64):
    keys, x0 = draw((5, 3))
    for name, terms in (("continuous", 7), ("discrete", 6)):
        results = estimate(name, make(), keys, x0, num=7)
        chex.assert_shape([results["steps"], results["at"]], (terms, 5))
        total = results["prior"] + results["steps"].sum(axis=0) + results["decoder"]
        chex.assert_trees_all_close(results["total"], total, atol=1e-12)
        at = np.asarray(results["at"])
        assert (np.diff(at, axis=0) > 0).all()  # from the noise to the data
        assert at[0, 0] >= likelihood.NOISIEST
    # each discrete step but the last, which is the decoder's, from its own time
    log_snr = schedules.cosine().log_snr(jnp.linspace(1, 0, 8))[:-2]
    chex.assert_trees_all_close(at[1:, 0], np.asarray(log_snr[1:]), rtol=1e-9)


def test_terms_of_the_continuous_bound_are_at_the_log_snr_that_they_are_of(x64):
    """What a term is in expectation, e^lam var / 2 times the step, gives its lam."""
    keys, x0 = draw((MANY, 4))
    results = estimate("continuous", make(), keys, x0, num=200)
    lam = np.asarray(results["at"])[:, 0]
    snr = np.exp(lam)
    left = STD**2 / (1 + snr * STD**2)
    expected = 0.5 * (lam[1] - lam[0]) * snr * left / np.log(2)
    got = np.asarray(results["steps"]).mean(axis=1)
    chex.assert_trees_all_close(got, expected, rtol=0.1, atol=2e-3)


@pytest.mark.parametrize("name", ESTIMATES)
def test_of_real_numbers_it_is_the_density(name, x64):
    keys, x0 = draw((MANY if name != "flow" else 8, 3))
    results = estimate(name, make(), keys, x0)["total"]
    if name == "flow":
        chex.assert_trees_all_close(results, bits(x0), atol=1e-4)
    elif name == "continuous":
        agrees(results - bits(x0), 0.0)
    else:  # a bound: by no more than its few steps cost
        gap = np.asarray(results - bits(x0))
        assert gap.std() / np.sqrt(MANY) * 3 < gap.mean() < 3


def test_the_condition_reaches_the_denoiser(x64):
    keys, x0 = draw((6, 3))
    cond = jnp.linspace(0.0, 0.5, 6)
    results = estimate("flow", make(), keys, x0 + cond[:, None], cond)["total"]
    chex.assert_trees_all_close(results, bits(x0), atol=1e-4)


@pytest.mark.parametrize("width", [0.3, np.array([0.1, 0.4])])
def test_the_flow_of_levels_is_that_of_values_spread_over_them(width, x64):
    """E over a level of -log2 p less log2 of its width, by 4001 even places."""
    shape = (400, 2, 2)
    keys, x0 = draw(shape)
    width = np.broadcast_to(width, shape[1:])
    x0 = jnp.asarray(np.round(np.asarray(x0) / width) * width)
    model = make(jnp.asarray(width))
    flat = model._replace(denoise=Partial(of_images, model.denoise))
    results = estimate("flow", flat, keys, x0)["total"]
    u = np.linspace(-0.5, 0.5, 4001)
    places = np.asarray(x0)[..., None] + u * width[..., None]
    nats = stats.norm.logpdf(places, 0, STD).mean(axis=-1) + np.log(width)
    expected = -nats.mean(axis=(1, 2)) / np.log(2)
    agrees(results - expected, 0.0)
    # and no less than the level's own probability has
    ends = [np.asarray(x0) + side * width / 2 for side in (-1, 1)]
    mass = np.subtract(*(stats.norm.cdf(x, 0, STD) for x in reversed(ends)))
    assert np.mean(results + np.log2(mass).mean(axis=(1, 2))) > 0


def of_images(denoise, x_t, t, cond):
    """A denoiser of rows for images: values are independent."""
    x0 = denoise(x_t.reshape(len(x_t), -1), t, cond).x0
    return Denoised(x0.reshape(x_t.shape))


def mixed(x_t, t, cond):
    """Not what any data have, but values that move one another."""
    return Denoised(0.5 * jnp.roll(x_t, 1, axis=1) * (1 - t))


def test_of_few_values_the_divergence_is_exact_and_of_many_probed(x64):
    model = make(cleanest=0.05)._replace(denoise=Partial(mixed))
    for size, same in ((bpd.FEW, True), (bpd.FEW + 1, False)):
        keys, x0 = draw((2, size))
        results = estimate("flow", model, keys, x0)
        other = estimate("flow", model, keys[::-1], x0)
        apart = np.abs(results["total"] - other["total"]).max()
        assert (apart < 1e-12) == same
        assert (np.asarray(results["ode_steps"]) > 5).all()


def test_of_independent_values_one_probe_has_the_exact_trace(x64):
    keys, x0 = draw((4, bpd.FEW + 1))
    results = estimate("flow", make(), keys, x0)
    chex.assert_trees_all_close(results["total"], bits(x0), atol=1e-4)


def test_steps_that_float32_does_not_resolve_are_refused():
    # of edm, sigma = 80 t^7: 80 / 8^7 is 4e-5, and 80 / 20^7 is 6e-8
    bpd.check_steps(schedules.edm(), 8, ["discrete"])
    bpd.check_steps(schedules.edm(), 20, ["continuous"])
    bpd.check_steps(schedules.cosine(), 1000, ["discrete"])
    with pytest.raises(ValueError, match=r"20 steps ends at sigma / alpha = 6e-08"):
        bpd.check_steps(schedules.edm(), 20, ["continuous", "discrete"])
