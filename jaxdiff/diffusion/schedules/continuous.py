"""Variance-preserving schedules with a closed form of log alpha(t)^2."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.schedules.pairs import from_log_alpha_bar
from jaxdiff.diffusion.types import Schedule


def linear_log_snr(start: float = 13.3, end: float = -5.0) -> Schedule:
    """log_snr falls linearly in t, from start to end.

    Args:    start, end: log-SNR at t = 0 and at t = 1, in nats.
    Errors:  ValueError unless start > end.
    Source:  Kingma et al. 2021 (VDM), arXiv:2107.00630, eq. 18.
    """
    require(start > end, f"the log-SNR must fall, got {start=} and {end=}")
    return from_log_alpha_bar(Partial(_line, start, end), Partial(_line_t, start, end))


def _line(
    start: float | Array, end: float | Array, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return -jax.nn.softplus(-(start + (end - start) * t))


def _line_t(
    start: float | Array, end: float | Array, value: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return (value - jnp.log(-jnp.expm1(value)) - start) / (end - start)


def vp_sde(beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """log alpha = -t^2 (beta_max - beta_min) / 4 - t beta_min / 2.

    Args:    beta_min, beta_max: the rate beta at t = 0 and at t = 1, no unit.
    Errors:  ValueError unless 0 < beta_min < beta_max.
    Source:  Song et al. 2021, arXiv:2011.13456, eq. 32-33.
    """
    rises = (beta_min > 0) & (beta_max > beta_min)
    require(rises, f"need 0 < beta_min < beta_max, got {beta_min=}, {beta_max=}")
    args = (beta_min, beta_max)
    return from_log_alpha_bar(Partial(_sde, *args), Partial(_sde_t, *args))


def _sde(
    beta_min: float | Array, beta_max: float | Array, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return -0.5 * t**2 * (beta_max - beta_min) - t * beta_min


def _sde_t(
    beta_min: float | Array, beta_max: float | Array, value: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    # this form of the quadratic's root does not cancel near t = 0
    root = jnp.sqrt(beta_min**2 - 2 * (beta_max - beta_min) * value)
    return -2 * value / (beta_min + root)


def sigmoid(gain: float = 6.0, shift: float = 0.5, stop: float = 0.99996) -> Schedule:
    """sigma^2 = stop (y - y(0)) / (y(1) - y(0)),  y = sigmoid(gain (2t - 1 + shift)).

    sigma(0) = 0 exactly.

    Args:    gain, shift: slope and place of the sigmoid, no unit.  stop: sigma(1)^2.
    Errors:  ValueError unless gain > 0 and 0 < stop < 1.
    Source:  the tabular diffusion article of the README.
    """
    fits = (gain > 0) & (stop > 0) & (stop < 1)
    require(fits, f"need gain > 0 and 0 < stop < 1, got {gain=}, {stop=}")
    args = (gain, shift, stop)
    return from_log_alpha_bar(Partial(_sigmoid, *args), Partial(_sigmoid_t, *args))


def _sigmoid(
    gain: float | Array,
    shift: float | Array,
    stop: float | Array,
    t: Float[Array, "*b"],
) -> Float[Array, "*b"]:
    start, end = _sigmoid_ends(gain, shift)
    y = jax.nn.sigmoid(gain * ((2 * t - 1) + shift))
    return jnp.log1p(-stop * (y - start) / (end - start))


def _sigmoid_t(
    gain: float | Array,
    shift: float | Array,
    stop: float | Array,
    value: Float[Array, "*b"],
) -> Float[Array, "*b"]:
    start, end = _sigmoid_ends(gain, shift)
    y = start - jnp.expm1(value) / stop * (end - start)
    return ((jnp.log(y) - jnp.log1p(-y)) / gain - shift + 1) / 2


def _sigmoid_ends(gain: float | Array, shift: float | Array) -> tuple[Array, Array]:
    return jax.nn.sigmoid(gain * (shift - 1)), jax.nn.sigmoid(gain * (shift + 1))
