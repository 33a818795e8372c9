"""The Gaussian q(x_s | x_t, x0) between two times s < t, and terms of the bounds.

(1)  alpha_ts = alpha_t / alpha_s,   beta_ts = sigma_t^2 - alpha_ts^2 sigma_s^2
(2)  q(x_s | x_t, x0) = N(of_x_t x_t + of_x0 x0, beta_tilde)
         of_x_t = alpha_ts sigma_s^2 / sigma_t^2,   of_x0 = alpha_s beta_ts / sigma_t^2
(3)  beta_tilde = beta_ts sigma_s^2 / sigma_t^2     the "small" variance; beta_ts is
                                                    the "large" one
(4)  log var = frac log beta_ts + (1 - frac) log beta_tilde     the learned variance

At s = 0, beta_tilde is 0 and its logarithm infinite. Equation 4 then uses beta_tilde of
the chain's step before, as the table of improved DDPM does. Of a chain of even steps
that is 2t -> t; where 2t > 1, it is 1 -> 1/2.

A variance that is not learned has one fraction in all steps but the one to s = 0, where
it is the small one (`unlearned_fraction`): the large one would cost the decoder bits.
Source: Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 10-15, and their released code for
        the step to 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.types import Schedule


class Posterior(NamedTuple):
    """The coefficients of equations 2 and 3. Every field is f[...] like t.

    of_x_t, of_x0: the weights of x_t and x0 in the mean
    small, large:  the two variances, beta_tilde and beta_ts
    """

    of_x_t: Float[Array, "*b"]
    of_x0: Float[Array, "*b"]
    small: Float[Array, "*b"]
    large: Float[Array, "*b"]


def posterior(
    schedule: Schedule, t: Float[Array, "*b"], s: Float[Array, "*b"]
) -> Posterior:
    """The coefficients of q(x_s | x_t, x0), equations 2 and 3.

    Args:    schedule: any.  t, s: f[] or f[b], s < t; s = 0 is the data itself.
    Returns: Posterior, exact also at alpha_t = 0 and at s = 0.
    """
    alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
    alpha_s, sigma_s = level(schedule, s)
    keep = (sigma_s / sigma_t) ** 2
    ratio = alpha_t / alpha_s
    # beta_ts / sigma_t^2 in factors, which is exact at alpha_t = 0 and at sigma_s = 0
    root = ratio * sigma_s / sigma_t
    added = (1 - root) * (1 + root)
    large = added * sigma_t**2
    return Posterior(ratio * keep, alpha_s * added, large * keep, large)


def unlearned_fraction(frac: float | Array, s: Array) -> Array:
    """The fraction of a variance that is not learned: `frac`, and 0 at s = 0."""
    return jnp.where(s <= 0, 0.0, frac)


def log_variance(
    schedule: Schedule, t: Array, s: Array, frac: Array, before: Array | None = None
) -> Array:
    """The log of the learned variance, equation 4, finite at s = 0.

    Args:    schedule: any.  t, s: s < t.  frac: in [0, 1]; 0 is the small variance, 1
             the large.  before: where the chain's step before began, which counts at
             s = 0; None, or any time up to t, means a chain of even steps.
             t, s, frac and before broadcast.
    Returns: f[...] of the broadcast shape.
    """
    here = posterior(schedule, t, s)
    last, to = jnp.minimum(2 * t, 1.0), 0.5 * jnp.minimum(2 * t, 1.0)
    if before is not None:
        last, to = jnp.where(before > t, before, last), jnp.where(before > t, t, to)
    first = s <= 0
    then = posterior(schedule, jnp.where(first, last, t), jnp.where(first, to, s))
    # the square of EDM's sigma ~ t^7 soon underflows in float32
    tiny = jnp.finfo(here.large.dtype).tiny
    large, small = jnp.maximum(here.large, tiny), jnp.maximum(then.small, tiny)
    return frac * jnp.log(large) + (1 - frac) * jnp.log(small)


def kl_normal(
    mean_p: Array, log_var_p: Array, mean_q: Array, log_var_q: Array
) -> Array:
    """KL(p || q) between two normal distributions, elementwise, in nats.

    Args:    means and log-variances of p and q, which broadcast.
    Returns: f[...] of the broadcast shape.
    """
    square = jnp.exp(log_var_p - log_var_q) + (mean_p - mean_q) ** 2 * jnp.exp(
        -log_var_q
    )
    return 0.5 * (log_var_q - log_var_p + square - 1)


def discretized_log_likelihood(
    x: Array, mean: Array, log_std: Array, num_levels: int | Array = 256
) -> Array:
    """The log probability, in nats, of the discrete level that each value of x lies on.

    The levels are evenly spaced on [-1, 1]. A normal distribution is integrated over
    the interval around each level; the outer intervals extend to infinity. The normal
    cdf is approximated by (1 + tanh(sqrt(2/pi) (z + .044715 z^3))) / 2, as in the
    published code, so that the results can be compared with the literature.

    Args:    x: values on the levels.  mean, log_std: of the normal distribution, f[...]
             like x.  num_levels: 256 for 8-bit pixels.
    Returns: f[...] like x.
    Source:  Ho et al. 2020, arXiv:2006.11239, eq. 13.
    """
    half = 1 / (num_levels - 1)
    scale = jnp.exp(-log_std)
    log_upper, _, cdf_upper = _log_cdf((x - mean + half) * scale)
    _, log_above, cdf_lower = _log_cdf((x - mean - half) * scale)
    inside = jnp.log(jnp.maximum(cdf_upper - cdf_lower, 1e-12))
    return jnp.where(x < -0.999, log_upper, jnp.where(x > 0.999, log_above, inside))


def _log_cdf(z: Array) -> tuple[Array, Array, Array]:
    """log cdf, log(1 - cdf) and cdf of the tanh approximation, a logistic in 2a."""
    a = jnp.sqrt(2 / jnp.pi) * (z + 0.044715 * z**3)
    return jax.nn.log_sigmoid(2 * a), jax.nn.log_sigmoid(-2 * a), jax.nn.sigmoid(2 * a)


def prior_bits(schedule: Schedule, x0: Array) -> Array:
    """KL(q(x_1 | x0) || N(0, max(1, sigma_1)^2)), elementwise, in bits.

    Args:    x0: in model units, f[...].
    Returns: f[...] like x0.
    """
    one = jnp.ones((), x0.dtype)
    alpha, sigma = schedule.alpha(one), schedule.sigma(one)
    wide = jnp.maximum(sigma, 1.0)
    alpha, sigma = alpha / wide, sigma / wide
    # 1 - sigma^2 + log sigma^2 cancels near sigma = 1, so log1p(sigma^2 - 1) is used
    lack = (1 - sigma) * (1 + sigma)
    nats = 0.5 * ((alpha * x0) ** 2 - lack - jnp.log1p(-lack))
    return nats / jnp.log(2.0)
