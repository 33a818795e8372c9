"""Schedules with alpha = cos(a) and sigma = sin(a) for an angle a linear in t."""

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.schedules.pairs import from_alpha_sigma
from jaxdiff.diffusion.types import Schedule


def cosine(min_log_snr: float = -20.0, max_log_snr: float = 20.0) -> Schedule:
    """log_snr = -2 log tan(a), between the given log-SNRs.

    Args:    min_log_snr, max_log_snr: at t = 1 and at t = 0, in nats.
    Errors:  ValueError unless min_log_snr < max_log_snr.
    Source:  Salimans & Ho 2022, arXiv:2202.00512, appendix.
    """
    low, high = min_log_snr, max_log_snr
    require(low < high, f"need min_log_snr < max_log_snr, got {low} and {high}")
    start, end = np.arctan(np.exp(-0.5 * np.array([high, low])))
    return _between(float(start), float(end))


def angle(min_signal_rate: float = 0.02, max_signal_rate: float = 0.95) -> Schedule:
    """a runs from acos(max_signal_rate) to acos(min_signal_rate).

    sigma(0) is not 0: the cleanest image still has noise of sqrt(1 -
    max_signal_rate^2).

    Args:    min_signal_rate, max_signal_rate: alpha at t = 1 and at t = 0, no unit.
    Errors:  ValueError unless 0 < min_signal_rate < max_signal_rate <= 1.
    Source:  Keras example "Denoising Diffusion Implicit Models" (diffusion angles).
    """
    low, high = min_signal_rate, max_signal_rate
    fits = 0 < low < high <= 1
    require(fits, f"need 0 < min_signal_rate < max_signal_rate <= 1, got {low}, {high}")
    return _between(float(np.arccos(high)), float(np.arccos(low)))


def _between(start: float, end: float) -> Schedule:
    """a = start + t (end - start), in radians."""
    span = end - start
    # cos(a) is computed as sin(pi / 2 - a), which stays precise near alpha = 0
    alpha = Partial(_alpha, float(np.pi / 2 - end), span)
    sigma = Partial(_sigma, start, span)
    return from_alpha_sigma(alpha, sigma, Partial(_t, start, span))


def _alpha(
    rest: float | Array, span: float | Array, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return jnp.sin(rest + (1 - t) * span)


def _sigma(
    start: float | Array, span: float | Array, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return jnp.sin(start + t * span)


def _t(
    start: float | Array, span: float | Array, log_snr: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return (jnp.arctan(jnp.exp(-0.5 * log_snr)) - start) / span
