"""Bounds and densities against closed forms: a normal law, and two modes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy import stats

from jaxdiff import rng
from jaxdiff.diffusion import analytic, density, likelihood, schedules
from jaxdiff.diffusion.analytic import Mixture
from jaxdiff.diffusion.orders import as_one
from jaxdiff.diffusion.types import Denoised

STD = np.array([0.5, 1.0, 2.0])
MANY = 4000
CURVES = ("cosine", "linear_beta", "linear_mix", "edm", "vp_sde")
BITS = np.log(2)
# N(MEAN, COVARIANCE), whose values depend on one another
MEAN = np.array([0.3, -0.2, 0.1])
COVARIANCE = np.array([[0.5, 0.3, 0.0], [0.3, 0.6, -0.2], [0.0, -0.2, 0.4]])
MODES = Mixture(
    weights=np.full((2, 2), 0.5),
    means=np.array([[-1.0, -1.0], [1.0, 1.0]]),
    stds=np.full((2, 2), 0.4),
)


# One program each for the schedules of CURVES.
discrete = jax.jit(likelihood.discrete)
continuous = jax.jit(likelihood.continuous, static_argnames="num")
log_density = jax.jit(density.log_density)


def schedule_of(curve):
    made = as_one([getattr(schedules, name)() for name in CURVES])
    return made[CURVES.index(curve)]


def normal(schedule, x_t, t, cond):
    """E[x0 | x_t] of N(0, diag STD^2)."""
    del cond
    alpha, sigma = (f(t).reshape(-1, 1) for f in schedule[:2])
    var = jnp.asarray(STD**2, x_t.dtype)[None]
    return Denoised(alpha * var / (alpha**2 * var + sigma**2) * x_t)


def correlated(schedule, x_t, t, cond):
    """E[x0 | x_t] of N(MEAN, COVARIANCE)."""
    del cond
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    var = jnp.asarray(COVARIANCE, x_t.dtype)
    mean = jnp.asarray(MEAN, x_t.dtype)[None]
    both = alpha**2 * var + sigma**2 * jnp.eye(3, dtype=x_t.dtype)
    gain = alpha * jnp.linalg.solve(both, var)  # symmetric
    return Denoised(mean + (x_t - alpha * mean) @ gain)


def log_two_modes(x):
    """Nats of MODES, value by value."""
    parts = [stats.norm.pdf(x, m, 0.4) for m in (-1, 1)]
    return np.log(np.mean(parts, axis=0))


def of_normal(seed=0):
    x0 = jnp.asarray(np.random.default_rng(seed).normal(0, STD, (MANY, 3)))
    return x0, rng.split_by(jax.random.key(seed), jnp.arange(MANY))


def agrees(values, expected, sds=4.0):
    """The mean of values is what it should be, within its own standard error."""
    values = np.asarray(values, np.float64)
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - expected) < sds * error + 1e-9, (
        values.mean(),
        expected,
        error,
    )
    return error


def discrete_by_hand(schedule, ts, frac):
    """Equation 1 of normal data, worked out: prior, steps and decoder in bits.

    The decoder's variance is the small one of the step before, whatever the others'.
    """
    level = [
        (float(schedule.alpha(jnp.asarray(t))), float(schedule.sigma(jnp.asarray(t))))
        for t in ts[:-1]
    ]
    a, s = level[0]
    wide = max(1.0, s)
    prior = (a**2 * STD**2 + s**2) / wide**2 - 1 - 2 * np.log(s / wide)
    terms = []
    for (a, s), (b, r) in zip(level, [*level[1:], (1.0, 0.0)], strict=True):
        left = STD**2 * s**2 / (a**2 * STD**2 + s**2)  # E (x0 - x0_hat)^2
        ratio = a / b
        large = s**2 - ratio**2 * r**2
        of_x0, small = b * large / s**2, large * r**2 / s**2
        if r:
            var = large**frac * small ** (1 - frac)
            kl = np.log(var / small) + (small + of_x0**2 * left) / var - 1
            before = small
        else:
            kl = np.log(2 * np.pi * before) + left / before
        terms.append(0.5 * kl.mean() / BITS)
    return 0.5 * prior.mean() / BITS, np.array(terms)


@pytest.mark.parametrize("frac", [0.0, 1.0])
@pytest.mark.parametrize("steps", ["even", "respaced"])
@pytest.mark.parametrize("curve", CURVES)
def test_the_discrete_bound_of_a_normal_is_its_closed_form(curve, steps, frac, x64):
    schedule = schedule_of(curve)
    ts = np.linspace(1, 0, 13)
    if steps == "respaced":  # the last step is three times the one before
        ts = np.append(ts[:9], [0.2, 0.04, 0.03, 0.0])
    x0, keys = of_normal()
    bound = discrete(
        keys,
        Partial(normal, schedule),
        schedule,
        jnp.asarray(ts),
        x0,
        decoder=likelihood.density(),
        frac=frac,
    )
    prior, terms = discrete_by_hand(schedule, ts, frac)
    agrees(bound.prior, prior)
    for got, expected in zip([*bound.steps, bound.decoder], terms, strict=True):
        agrees(got, expected)
    agrees(bound.total, prior + terms.sum())


@pytest.mark.parametrize("frac", [0.0, 1.0])
@pytest.mark.parametrize("curve", CURVES)
def test_a_steps_term_is_its_weight_times_the_error_of_x0(curve, frac, x64):
    """Of normal data, whose error is known: and of the small variance nothing else."""
    schedule, ts = schedule_of(curve), jnp.linspace(1, 0, 13)
    t, s = ts[:-2], ts[1:-1]
    weight = np.asarray(likelihood.step_weight(schedule, t, s, frac))
    alpha, sigma = (np.asarray(f(t))[:, None] for f in schedule[:2])
    left = STD**2 * sigma**2 / (alpha**2 * STD**2 + sigma**2)
    expected = weight[:, None] * left
    if frac:  # how far the small variance is from the large one
        keep = np.square(schedule.sigma(s) / schedule.sigma(t))
        expected = expected + 0.5 * np.asarray(keep - 1 - np.log(keep))[:, None]
    else:
        snr_t, snr_s = (np.exp(schedule.log_snr(time)) for time in (t, s))
        np.testing.assert_allclose(weight, (snr_s - snr_t) / 2, rtol=1e-6)
    _, terms = discrete_by_hand(schedule, np.asarray(ts), frac)
    np.testing.assert_allclose(terms[:-1] * BITS, expected.mean(1), rtol=1e-6)


def test_the_terms_of_the_exact_denoiser_are_its_error(x64):
    """The posterior's variance, which is the least that an error can be."""
    law = Mixture(np.ones((1, 3)), np.zeros((1, 3)), STD[None])
    schedule, ts = schedule_of("cosine"), jnp.linspace(1, 0, 13)
    x0, keys = of_normal()
    denoise = analytic.make_denoise(law, schedule)
    bound = discrete(keys, denoise, schedule, ts, x0, decoder=likelihood.density())
    alpha, sigma = (np.asarray(f(ts))[:-2, None] for f in schedule[:2])
    error = (STD**2 * sigma**2 / (alpha**2 * STD**2 + sigma**2)).mean(axis=1)
    weight = np.asarray(likelihood.step_weight(schedule, ts[:-2], ts[1:-1]))
    for got, nats in zip(bound.steps, weight * error, strict=True):
        agrees(got, nats / BITS)
    np.testing.assert_allclose(
        bound.total, bound.prior + bound.steps.sum(0) + bound.decoder, rtol=1e-12
    )


@pytest.mark.parametrize("curve", CURVES)
def test_the_continuous_bound_of_a_normal_is_its_entropy(curve, x64):
    """With the true estimate it is tight, but for the decoder, which does not use the
    data: log(1 + (sigma / alpha STD)^2) / 2 nats where there is least noise."""
    schedule = schedule_of(curve)
    x0, keys = of_normal()
    bound = continuous(
        keys,
        Partial(normal, schedule),
        schedule,
        x0,
        decoder=likelihood.density(),
        num=60,
        cleanest=1e-3,
    )
    clean = -2 * np.log(1e-3)
    noisy = max(float(schedule.log_snr(jnp.asarray(1.0))), likelihood.NOISIEST)
    snrs = [STD**2 * np.exp(lam) for lam in (clean, noisy)]
    integral = 0.5 * np.log1p(snrs[0]) - 0.5 * np.log1p(snrs[1])
    agrees(bound.steps.sum(axis=0), integral.mean() / BITS)
    agrees(bound.decoder, 0.5 * (np.log(2 * np.pi * np.e) - clean) / BITS)
    entropy = 0.5 * np.log(2 * np.pi * np.e * STD**2).mean() / BITS
    loose = 0.5 * np.log1p(1 / snrs[0]).mean() / BITS
    assert loose < 1e-3
    agrees(bound.total, entropy + loose)


def test_more_steps_bring_the_discrete_bound_to_the_continuous(x64):
    schedule = schedules.cosine()
    x0, keys = of_normal()
    how = {"decoder": likelihood.density()}
    given = keys, Partial(normal, schedule), schedule
    tight = continuous(*given, x0, **how).total
    gaps = []
    for n in (3, 40):  # of steps as uneven as a user's
        ts = jnp.append(jnp.linspace(1, 0.02, n), 0.0)
        loose = discrete(*given, ts, x0, frac=1.0, **how).total
        gaps.append(np.asarray(loose - tight))
    means = [gap.mean() for gap in gaps]
    errors = [gap.std() / np.sqrt(MANY) for gap in gaps]
    assert means[0] > 4 * errors[0]
    assert abs(means[1]) < 4 * errors[1]


@pytest.mark.parametrize("name", ["angle", "linear_log_snr"])
def test_many_short_steps_do_no_harm_where_training_keeps_noise_at_zero(name, x64):
    """Closed form, given the times: x0 given x_t has the variance v / (1 + v snr)."""
    schedule = getattr(schedules, name)()
    x0, keys = of_normal()
    given = keys, Partial(normal, schedule), schedule
    ts, zero = jnp.linspace(1, 0, 401), jnp.zeros(())
    bound = discrete(*given, ts, x0, decoder=likelihood.density())
    snr = np.asarray((schedule.alpha(ts[:-1]) / schedule.sigma(ts[:-1])) ** 2)
    var = STD**2 / (1 + STD**2 * snr[:, None])
    steps = (np.diff(snr)[:, None] * var[:-1]).sum(axis=0)
    least = float((schedule.sigma(zero) / schedule.alpha(zero)) ** 2)
    decoder = np.log(2 * np.pi * least) + var[-1] / least
    agrees(bound.total - bound.prior, 0.5 * (steps + decoder).mean() / BITS)


def test_levels_are_the_published_likelihood_in_any_units(assert_listed, x64):
    def log_p(level, mean, log_std, low, high):
        unit = (high - low) / 2
        x = jnp.full((1, 1), low + level / 255 * (high - low))
        mean, log_std = low + (mean + 1) * unit, log_std + np.log(unit)
        decoder = likelihood.levels(low, high)
        return decoder(x, jnp.full((1, 1), mean), jnp.full((1, 1), log_std))[0, 0]

    for low, high in ((-1.0, 1.0), (0.0, 1.0), (-0.4, 2.3)):
        assert_listed(log_p(128, 0.0, 0.0, low, high), "-5.767065")
        assert_listed(log_p(0, -1.0, -2.0, low, high), "-0.670294")


@pytest.mark.parametrize("curve", CURVES)
def test_the_flow_gives_a_normal_its_density(curve, x64):
    schedule = schedule_of(curve)
    x0 = jnp.asarray(np.random.default_rng(1).multivariate_normal(MEAN, COVARIANCE, 6))
    got = log_density(Partial(correlated, schedule), schedule, x0, cleanest=1e-4)
    assert (np.asarray(got.steps) > 5).all()
    # x_1 = alpha MEAN + (alpha^2 C + sigma^2)^.5 C^-.5 (x0 - MEAN), in closed form
    alpha, sigma = (float(f(jnp.ones(()))) for f in schedule[:2])
    values, basis = np.linalg.eigh(COVARIANCE)
    stretch = np.sqrt(alpha**2 + sigma**2 / values)
    along = (np.asarray(x0) - MEAN) @ basis * stretch
    ends = stats.norm(0, sigma).logpdf(alpha * MEAN @ basis + along).sum(axis=1)
    expected = ends + np.log(stretch).sum()
    chex.assert_trees_all_close(got.log_p / 3, expected / 3, atol=1e-4, rtol=1e-7)
    if alpha < 1e-4:  # then it is the data's own
        exact = stats.multivariate_normal(MEAN, COVARIANCE).logpdf(np.asarray(x0))
        chex.assert_trees_all_close(got.log_p / 3, exact / 3, atol=1e-4, rtol=1e-7)


@pytest.mark.parametrize("normal_probes", [False, True])
def test_probes_are_unbiased(normal_probes, x64):
    schedule = schedules.cosine()
    denoise = Partial(correlated, schedule)
    x0 = jnp.asarray(MEAN + 0.3)[None].repeat(400, axis=0)
    keys = rng.split_by(jax.random.key(0), jnp.arange(400))
    v = density.draw_probes(keys, (3,), 1, normal_probes)
    exact = float(log_density(denoise, schedule, x0[:1], tolerance=1e-4).log_p[0])
    got = np.asarray(log_density(denoise, schedule, x0, probes=v, tolerance=1e-4).log_p)
    assert agrees(got, exact) > 1e-3  # an estimate it is


def test_on_two_modes_the_bound_is_above_the_flow(x64):
    schedule = schedules.cosine()
    denoise = analytic.make_denoise(MODES, schedule)
    gen = np.random.default_rng(2)
    x0 = gen.choice([-1.0, 1.0], (MANY, 2)) + MODES.stds[0] * gen.normal(size=(MANY, 2))
    keys = rng.split_by(jax.random.key(2), jnp.arange(MANY))
    x0, some = jnp.asarray(x0), slice(0, 50)
    true = -log_two_modes(np.asarray(x0)).mean(axis=1) / BITS
    flow = log_density(denoise, schedule, x0[some])
    chex.assert_trees_all_close(
        -flow.log_p / 2 / BITS, true[some], atol=3e-4, rtol=1e-7
    )
    bound = continuous(
        keys, denoise, schedule, x0, decoder=likelihood.density(), num=60
    )
    agrees(bound.total - true, 0.0)  # tight
    steps = discrete(
        keys,
        denoise,
        schedule,
        jnp.linspace(1, 0, 21),
        x0,
        decoder=likelihood.density(),
        frac=1.0,
    )
    gap = np.asarray(steps.total - true)
    assert gap.mean() > 5 * gap.std() / np.sqrt(MANY)


def test_mistakes():
    with pytest.raises(ValueError, match="at least 2 levels"):
        likelihood.levels(num=1)
    with pytest.raises(ValueError, match="num=0"):
        density.draw_probes(jax.random.split(jax.random.key(0), 1), (2,), 0)
