"""Bounds on how surprising data are to a model, in bits per value.

(1)  -log p(x0) <= prior + sum of KL(q(x_s | x_t, x0) || p(x_s | x_t)) + decoder
     down times 1 = t_0 > ... > t_n = 0; the step to 0 is the decoder's, which says
     -log P(x0) of its level or density; p is the posterior of x0_hat, with the learned
     variance, or one between its small and its large (posterior.py, eq. 4)
(2)  -log p(x0) <= prior + 1/2 integral of e^lam |x0 - x0_hat|^2 d lam + decoder
     what (1) comes to for ever more steps, lam the log-SNR; the decoder is what is left
     to say at the cleanest time: N(x_t / alpha, (sigma / alpha)^2)
(3)  prior = KL(q(x_1 | x0) || N(0, max(1, sigma(1))^2)):  where sampling starts

Both are averages over noise, so of one draw unbiased estimates of a bound. They are of
the plain model: guidance makes no density.
Source: Ho et al. 2020, arXiv:2006.11239, eq. 5; Kingma et al. 2021, arXiv:2107.00630,
eq. 11-18.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import (
    Array,
    Float,
    Key,
    PyTree,
    expand,
    mean_of_each,
    require,
)
from jaxdiff.diffusion.denoisers import Denoise, Denoised
from jaxdiff.diffusion.posterior import (
    discretized_log_likelihood,
    kl_normal,
    log_variance,
    posterior,
    prior_bits,
)
from jaxdiff.diffusion.schedules import Schedule

# The log-SNR below which data of variance 1 are lost in the noise.
NOISIEST = -20.0

# (x0, mean, log of the standard deviation) -> log probability in nats, value by value
Decoder = Callable[[Array, Array, Array], Array]


class Bound(NamedTuple):
    """Bits per value of each example, before they are added up.

    prior:   f[b]
    steps:   f[n, b], the noisiest first
    decoder: f[b]
    """

    prior: Array
    steps: Array
    decoder: Array

    @property
    def total(self) -> Array:
        return self.prior + self.steps.sum(axis=0) + self.decoder


def levels(low: Any = -1.0, high: Any = 1.0, num: int = 256) -> Decoder:
    """Data on `num` even levels from low to high (numbers, or by channel)."""
    require(num >= 2, f"there must be at least 2 levels, got {num=}")
    return Partial(_levels, jnp.asarray(low), jnp.asarray(high), num)


def density() -> Decoder:
    """Data of any number: a normal density, and so bits that can be negative."""
    return Partial(_normal)


def step_bits(
    schedule: Schedule,
    t: Float[Array, "b"],
    s: Float[Array, "b"],
    x0: Array,
    x_t: Array,
    denoised: Denoised,
    decoder: Decoder,
) -> Float[Array, "b"]:
    """One term of equation 1, bits per value of x0: the decoder's where s is 0.

    denoised.var_frac: f32[b, ...], must be there.
    """
    if denoised.var_frac is None:
        raise ValueError("the bound needs a variance, got var_frac=None")
    post = posterior(schedule, t, s)
    of_x_t, of_x0 = (expand(c, x0) for c in post[:2])
    mean, guess = of_x_t * x_t + of_x0 * x0, of_x_t * x_t + of_x0 * denoised.x0
    t_, s_ = expand(t, x0), expand(s, x0)
    log_var = log_variance(schedule, t_, s_, denoised.var_frac)
    true_log_var = log_variance(schedule, t_, s_, jnp.zeros_like(t_))
    kl = kl_normal(mean, true_log_var, guess, log_var)
    nll = -decoder(x0, guess, 0.5 * log_var)
    nats = jnp.where(s <= 0, mean_of_each(nll), mean_of_each(kl))
    return nats / jnp.log(2.0)


def discrete(
    keys: Key[Array, "b"],
    denoise: Denoise,
    schedule: Schedule,
    ts: Float[Array, "times"],
    x0: Array,
    cond: PyTree = None,
    *,
    decoder: Decoder,
    frac: float | Array = 0.0,
) -> Bound:
    """Equation 1 with one draw of x_t at each time.

    Args: keys: one an example.  ts: falling from 1 to 0.  cond: the denoiser's.
          frac: of equation 4 in posterior.py where the model has not learned it: 0 is
          the small variance, 1 the large.
    """

    def term(now):
        i, t, s = now
        b = x0.shape[:1]
        x_t = _noised(rng.fold(keys, i), schedule, t, x0)
        den = denoise(x_t, t, cond)
        if den.var_frac is None:
            den = den._replace(var_frac=jnp.full_like(x0, frac))
        times = jnp.broadcast_to(t, b), jnp.broadcast_to(s, b)
        return step_bits(schedule, *times, x0, x_t, den, decoder)

    steps = jax.lax.map(term, (jnp.arange(len(ts) - 1), ts[:-1], ts[1:]))
    return Bound(_prior(schedule, x0), steps[:-1], steps[-1])


def continuous(
    keys: Key[Array, "b"],
    denoise: Denoise,
    schedule: Schedule,
    x0: Array,
    cond: PyTree = None,
    *,
    decoder: Decoder,
    num: int = 100,
    cleanest: float | Array = 1e-3,
) -> Bound:
    """Equation 2: log-SNRs evenly spread, shifted together by one draw an example.

    Args: num: terms of the integral.  cleanest: sigma / alpha of what is left to the
          decoder, or that of t = 0 where there is more.
    """
    require(num >= 1, f"num must be at least 1, got {num=}")
    first, last = log_snrs(schedule, jnp.asarray(cleanest, x0.dtype))
    width = (last - first) / num
    shift = rng.draw(jax.random.uniform, rng.fold(keys, num), ())

    def term(k):
        lam = first + (k + shift) * width
        t = jnp.clip(schedule.t_of(lam), 0.0, 1.0)
        x_t = _noised(rng.fold(keys, k), schedule, t, x0)
        error = mean_of_each(jnp.square(x0 - denoise(x_t, t, cond).x0))
        return 0.5 * width * jnp.exp(lam) * error / jnp.log(2.0)

    steps = jax.lax.map(term, jnp.arange(num))
    t = jnp.clip(schedule.t_of(last), 0.0, 1.0)
    x_t = _noised(rng.fold(keys, num + 1), schedule, t, x0)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    log_std = jnp.full_like(x0, jnp.log(sigma / alpha))
    nll = mean_of_each(-decoder(x0, x_t / alpha, log_std))
    return Bound(_prior(schedule, x0), steps, nll / jnp.log(2.0))


def log_snrs(
    schedule: Schedule, cleanest: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Between which log-SNRs to integrate: the noisiest, and where sigma / alpha is
    `cleanest`; no further than the schedule goes.
    """
    noisy, clean = (
        schedule.log_snr(jnp.asarray(t, cleanest.dtype)) for t in (1.0, 0.0)
    )
    return jnp.maximum(noisy, NOISIEST), jnp.minimum(clean, -2 * jnp.log(cleanest))


def _normal(x, mean, log_std):
    """log N(x; mean, std^2) in nats, value by value."""
    return norm.logpdf((x - mean) * jnp.exp(-log_std)) - log_std


def _levels(low, high, num, x0, mean, log_std):
    low, high = (jnp.broadcast_to(a, x0.shape).astype(x0.dtype) for a in (low, high))
    half = (high - low) / 2
    x0, mean = ((a - low) / half - 1 for a in (x0, mean))
    return discretized_log_likelihood(x0, mean, log_std - jnp.log(half), num)


def _noised(keys, schedule, t, x0):
    eps = rng.draw(jax.random.normal, keys, x0.shape[1:])
    return expand(schedule.alpha(t), x0) * x0 + expand(schedule.sigma(t), x0) * eps


def _prior(schedule, x0):
    return mean_of_each(prior_bits(schedule, x0))
