"""Upper bounds on the negative log-likelihood of data, in bits per dimension (bpd).

(1)  -log p(x0) <= prior + sum of KL(q(x_s | x_t, x0) || p(x_s | x_t)) + decoder
     over the steps t -> s of the times 1 = t_0 > ... > t_n = 0. The step to 0 is the
     decoder, -log P(x0), a probability of levels or a density. p(x_s | x_t) is the
     posterior at x0_hat, with the learned variance or with one between the small and
     the large (posterior.py, eq. 4). The decoder's is at least (sigma(0) / alpha(0))^2:
     where training keeps noise at t = 0, x0 is known no better, however short the step.
(2)  -log p(x0) <= prior + 1/2 integral of e^lam |x0 - x0_hat|^2 d lam + decoder
     This is the limit of (1) for many steps; lam is the log-SNR. The decoder is that of
     the cleanest time, N(x_t / alpha, (sigma / alpha)^2).
(3)  prior = KL(q(x_1 | x0) || N(0, max(1, sigma(1))^2)), where sampling starts
(4)  KL(t -> s) = w |x0 - x0_hat|^2 + c,   w = of_x0^2 / (2 var)
     of_x0 is that of posterior.py, eq. 2, and var the variance of p; with the small one
     c = 0 and w = (snr_s - snr_t) / 2.

Both bounds are expectations over the noise, and one draw estimates them without bias.
They hold for the plain model; guidance does not define a density.
Source: Ho et al. 2020, arXiv:2006.11239, eq. 5; Kingma et al. 2021, arXiv:2107.00630,
eq. 11-18.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jax.tree_util import Partial
from jax.typing import ArrayLike

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
from jaxdiff.diffusion.posterior import (
    discretized_log_likelihood,
    kl_normal,
    log_variance,
    posterior,
    prior_bits,
    unlearned_fraction,
)
from jaxdiff.diffusion.types import Denoise, Denoised, Schedule, Times

# Below this log-SNR, noise drowns data of variance 1.
NOISIEST = -20.0

# (x0, mean, log of the standard deviation) -> log probability in nats, elementwise
Decoder = Callable[[Array, Array, Array], Array]


class Bound(NamedTuple):
    """The terms of a bound, per example, in bits per dimension; `total` adds them.

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


def levels(low: ArrayLike = -1.0, high: ArrayLike = 1.0, num: int = 256) -> Decoder:
    """The decoder of data on `num` evenly spaced levels, such as pixels.

    Args:    low, high: the ends in model units, numbers, or f[c] for each channel.
             num: number of levels.
    Returns: Decoder.
    Errors:  ValueError for fewer than 2 levels.
    """
    require(num >= 2, f"there must be at least 2 levels, got {num=}")
    return Partial(_levels, jnp.asarray(low), jnp.asarray(high), num)


def _levels(
    low: Array, high: Array, num: int | Array, x0: Array, mean: Array, log_std: Array
) -> Array:
    low, high = (jnp.broadcast_to(a, x0.shape).astype(x0.dtype) for a in (low, high))
    half = (high - low) / 2
    x0, mean = ((a - low) / half - 1 for a in (x0, mean))
    return discretized_log_likelihood(x0, mean, log_std - jnp.log(half), num)


def density() -> Decoder:
    """The decoder of real-valued data, a normal density. Its bits can be negative."""
    return Partial(_normal)


def _normal(x: Array, mean: Array, log_std: Array) -> Array:
    """log N(x; mean, std^2), elementwise, in nats."""
    return norm.logpdf((x - mean) * jnp.exp(-log_std)) - log_std


def step_bpd(
    schedule: Schedule,
    t: Times,
    s: Times,
    x0: Float[Array, "b ..."],
    x_t: Array,
    denoised: Denoised,
    decoder: Decoder,
    before: Times | None = None,
) -> Float[Array, "b"]:
    """The term of equation 1 for the step t -> s, in bits per dimension.

    Args:    t, s: f[] or f[b], s < t; where s = 0 the term is the decoder's.
             x0: in model units.  x_t: f[b, ...].  denoised: at x_t, with a var_frac.
             before: where the step before began, as for posterior.log_variance.
    Returns: f[b].
    Errors:  ValueError if the denoiser gives no var_frac.
    """
    if denoised.var_frac is None:
        raise ValueError("the bound needs a variance, got var_frac=None")
    post = posterior(schedule, t, s)
    of_x_t, of_x0 = (expand(c, x0) for c in post[:2])
    mean, guess = of_x_t * x_t + of_x0 * x0, of_x_t * x_t + of_x0 * denoised.x0
    t_, s_ = expand(t, x0), expand(s, x0)
    then = None if before is None else expand(before, x0)
    log_var = log_variance(schedule, t_, s_, denoised.var_frac, then)
    log_var = jnp.where(s_ <= 0, jnp.maximum(log_var, _least(schedule, t_)), log_var)
    true_log_var = log_variance(schedule, t_, s_, jnp.zeros_like(t_))
    kl = kl_normal(mean, true_log_var, guess, log_var)
    nll = -decoder(x0, guess, 0.5 * log_var)
    nats = jnp.where(s <= 0, mean_of_each(nll), mean_of_each(kl))
    return nats / jnp.log(2.0)


def _least(schedule: Schedule, like: Array) -> Array:
    """log (sigma(0) / alpha(0))^2, the least variance of the decoder. Finite."""
    zero, tiny = jnp.zeros((), like.dtype), jnp.finfo(like.dtype).tiny
    return 2 * jnp.log(jnp.maximum(schedule.sigma(zero), tiny) / schedule.alpha(zero))


def step_weight(
    schedule: Schedule, t: Times, s: Times, frac: float | Array = 0.0
) -> Float[Array, "*b"]:
    """The weight w of the squared error of x0 in the step's KL, equation 4, in nats.

    Args:    schedule: any.  t, s: f[] or f[b], s < t, and s > 0: the step to 0 has a
             decoder, and no KL.  frac: as for `discrete`.
    Returns: f[...] like t.
    """
    of_x0 = posterior(schedule, t, s).of_x0
    log_var = log_variance(schedule, t, s, jnp.asarray(frac, t.dtype))
    return 0.5 * jnp.square(of_x0) * jnp.exp(-log_var)


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
    """The bound of equation 1, with one draw of x_t at each time.

    Args:    keys: one per example.  ts: times falling from 1 to 0.
             x0: f[b, ...] in model units.  cond: passed to the denoiser.
             decoder: see `levels` and `density`.
             frac: the variance of a model that has not learned one: 0 is the small, 1
             the large (posterior.py, eq. 4). The decoder's is the small one.
    Returns: Bound with n = len(ts) - 2 steps beside the decoder's.
    """

    def term(now: tuple[Array, Array, Array, Array]) -> Float[Array, "b"]:
        i, before, t, s = now
        b = x0.shape[:1]
        x_t = _noised(rng.fold(keys, i), schedule, t, x0)
        den = denoise(x_t, t, cond)
        if den.var_frac is None:
            frac_s = unlearned_fraction(frac, s).astype(x0.dtype)
            den = den._replace(var_frac=jnp.broadcast_to(frac_s, x0.shape))
        before, t, s = (jnp.broadcast_to(time, b) for time in (before, t, s))
        return step_bpd(schedule, t, s, x0, x_t, den, decoder, before)

    # before the first step there is none
    before = jnp.concatenate([jnp.zeros_like(ts[:1]), ts[:-2]])
    steps = jax.lax.map(term, (jnp.arange(len(ts) - 1), before, ts[:-1], ts[1:]))
    return Bound(_prior(schedule, x0), steps[:-1], steps[-1])


def _noised(
    keys: Key[Array, "b"], schedule: Schedule, t: Times, x0: Float[Array, "b ..."]
) -> Float[Array, "b ..."]:
    eps = rng.draw(jax.random.normal, keys, x0.shape[1:])
    return expand(schedule.alpha(t), x0) * x0 + expand(schedule.sigma(t), x0) * eps


def _prior(schedule: Schedule, x0: Float[Array, "b ..."]) -> Float[Array, "b"]:
    return mean_of_each(prior_bits(schedule, x0))


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
    """The bound of equation 2, by a sum over evenly spaced log-SNRs.

    One draw per example shifts all of its log-SNRs together, so the sum is unbiased.

    Args:    keys: one per example.  x0: f[b, ...] in model units.
             cond: passed to the denoiser.  decoder: see `levels` and `density`.
             num: terms of the sum.
             cleanest: sigma / alpha at which the decoder's term is taken, or that of t
             = 0 if the schedule is noisier there.
    Returns: Bound with `num` steps.
    Errors:  ValueError for num < 1.
    """
    require(num >= 1, f"num must be at least 1, got {num=}")
    first, last = log_snrs(schedule, jnp.asarray(cleanest, x0.dtype))
    width = (last - first) / num
    shift = rng.draw(jax.random.uniform, rng.fold(keys, num), ())

    def term(k: Array) -> Float[Array, "b"]:
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
    """The first and last log-SNR of an integral over the noise levels.

    The first is that of t = 1, but at least NOISIEST. The last is where sigma / alpha =
    `cleanest`, or that of t = 0 if the schedule is noisier there.
    """
    noisy, clean = (
        schedule.log_snr(jnp.asarray(t, cleanest.dtype)) for t in (1.0, 0.0)
    )
    return jnp.maximum(noisy, NOISIEST), jnp.minimum(clean, -2 * jnp.log(cleanest))
