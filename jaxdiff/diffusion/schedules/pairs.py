"""Schedules made from two of their functions; the rest follows from eq. 2 of __init__.

Functions here and in the families stand at module level, because jit compares Partials
by their function: schedules of one maker then share compiled programs.
"""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float
from jaxdiff.diffusion.types import Curve, Schedule


def from_alpha_sigma(alpha: Curve, sigma: Curve, t_of: Curve) -> Schedule:
    """A schedule from alpha and sigma. log_snr is infinite at exact ends.

    Args:    alpha, sigma: Partials of t f[...].
             t_of: Partial of log_snr f[...], the inverse of log_snr.
    """
    return Schedule(alpha, sigma, Partial(_log_ratio, alpha, sigma), t_of)


def _log_ratio(alpha: Curve, sigma: Curve, t: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return 2 * (jnp.log(alpha(t)) - jnp.log(sigma(t)))


def from_log_alpha_bar(log_bar: Curve, t_of: Curve) -> Schedule:
    """A variance-preserving schedule from log_bar = log alpha(t)^2.

    alpha = e^(log_bar / 2),  sigma = sqrt(1 - e^log_bar),
    log_bar = -log(1 + e^-log_snr)

    Args:    log_bar: Partial of t f[...], falling from 0.
             t_of: Partial of log_bar f[...], the inverse of log_bar.
    """
    return from_alpha_sigma(
        Partial(_bar_alpha, log_bar),
        Partial(_bar_sigma, log_bar),
        Partial(_bar_t, t_of),
    )


def _bar_alpha(log_bar: Curve, t: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return jnp.exp(0.5 * log_bar(t))


def _bar_sigma(log_bar: Curve, t: Float[Array, "*b"]) -> Float[Array, "*b"]:
    # 0 - x, not -x: at t = 0, sqrt(-0.0) would have the derivative -inf
    return jnp.sqrt(0.0 - jnp.expm1(log_bar(t)))


def _bar_t(t_of: Curve, log_snr: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return t_of(-jax.nn.softplus(-log_snr))
