"""Noise schedules: how much signal and how much noise a time holds.

(1)  x_t = alpha(t) x0 + sigma(t) eps,      t in [0, 1];  t = 0 is data, t = 1 is noise
(2)  log_snr(t) = 2 log(alpha(t) / sigma(t))           strictly falling;  t_of undoes it
(3)  alpha((i + 1) / T)^2 = alpha_bar[i]                DDPM's tables, see tables.py
(4)  d alpha / dt, d sigma / dt             by jax.jvp in `coeffs`, never by hand

A schedule is a value: its functions are `Partial`s whose leaves are the parameters, so
one passes through jit, vmap and grad like an array. Ends are exact where the source has
them exact: sigma(0) = 0 for the tables, the sigmoid, the linear mix and EDM, and
alpha(1) = 0 for the linear mix. Each name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import ArrayLike

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion import tables

__all__ = [
    "angle",
    "cosine",
    "cosine_beta",
    "edm",
    "linear_beta",
    "linear_log_snr",
    "linear_mix",
    "scaled_linear_beta",
    "sigmoid",
    "vp_sde",
]

# Beyond this log-SNR signal or noise is far below float32's resolution of the other.
LOG_SNR_LIMIT = 40.0
END = 1e-6


class Schedule(NamedTuple):
    """alpha, sigma, log_snr: t f[...] -> f[...];  t_of: log_snr f[...] -> t f[...]."""

    alpha: Callable
    sigma: Callable
    log_snr: Callable
    t_of: Callable


class Coeffs(NamedTuple):
    """A schedule at given times; every field f[...] of the shape of t."""

    t: Float[Array, "..."]
    alpha: Float[Array, "..."]
    sigma: Float[Array, "..."]
    d_alpha: Float[Array, "..."]
    d_sigma: Float[Array, "..."]
    log_snr: Float[Array, "..."]


def coeffs(schedule: Schedule, t: Float[Array, "*b"]) -> Coeffs:
    """Evaluate a schedule and its time derivatives (eq. 4) at t.

    alpha and sigma are exact. What is infinite at an exact end is kept finite: log_snr
    within +-LOG_SNR_LIMIT, derivatives taken no nearer to an end than END (the root in
    sigma = sqrt(1 - alpha^2) has none at t = 0).
    """
    inside = jnp.clip(t, END, 1 - END)
    one = jnp.ones_like(inside)
    _, d_alpha = jax.jvp(schedule.alpha, (inside,), (one,))
    _, d_sigma = jax.jvp(schedule.sigma, (inside,), (one,))
    log_snr = jnp.clip(schedule.log_snr(t), -LOG_SNR_LIMIT, LOG_SNR_LIMIT)
    return Coeffs(t, schedule.alpha(t), schedule.sigma(t), d_alpha, d_sigma, log_snr)


def level(
    schedule: Schedule, t: Float[Array, "*b"]
) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    """alpha and sigma of a *sampling* time: (1, 0) at t = 0, which is the data itself.

    Training may keep noise at its cleanest time (sigma(0) = .31 for `angle`); a
    sampler's last step, to t = 0, is to give x0 all the same.
    """
    data = t <= 0
    alpha = jnp.where(data, jnp.ones_like(t), schedule.alpha(t))
    return alpha, jnp.where(data, jnp.zeros_like(t), schedule.sigma(t))


def from_alpha_sigma(alpha: Callable, sigma: Callable, t_of: Callable) -> Schedule:
    """A schedule from its pair (Partials); log_snr by equation 2, inf at exact ends."""
    return Schedule(alpha, sigma, Partial(_log_ratio, alpha, sigma), t_of)


def from_log_alpha_bar(log_bar: Callable, t_of: Callable) -> Schedule:
    """The variance-preserving schedule of log alpha(t)^2 and its inverse (Partials).

    alpha = e^(log_bar / 2),  sigma = sqrt(1 - e^log_bar),  and, undoing equation 2,
    log_bar = -log(1 + e^-log_snr).
    """
    return from_alpha_sigma(
        Partial(_bar_alpha, log_bar),
        Partial(_bar_sigma, log_bar),
        Partial(_bar_t, t_of),
    )


def from_alpha_bar(alpha_bar: ArrayLike) -> Schedule:
    """A DDPM table alpha_bar[T] (eq. 3), log-linear between its entries.

    Entry i is at t = (i + 1) / T, and t = 0 is the data, alpha_bar = 1.
    Errors: ValueError unless the table falls strictly inside (0, 1).
    """
    table = np.asarray(alpha_bar, np.float64)
    falls = table.ndim == 1 and np.all(np.diff(table) < 0)
    require(
        falls and 0 < table[-1] and table[0] < 1,
        "alpha_bar must be one axis that falls strictly inside (0, 1), got "
        f"{table.shape=} from {table.max()} to {table.min()}",
    )
    log_bar = np.concatenate([[0.0], np.log(table)])
    args = (np.linspace(0.0, 1.0, len(log_bar)), log_bar)
    return from_log_alpha_bar(Partial(_table, *args), Partial(_table_t, *args))


def linear_beta(
    num_steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Schedule:
    """DDPM's table: betas linear in the step. Ho et al. 2020, arXiv:2006.11239."""
    betas = tables.linear(num_steps, beta_start, beta_end)
    return from_alpha_bar(tables.alpha_bar(betas))


def scaled_linear_beta(
    num_steps: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012
) -> Schedule:
    """Betas linear in their square root. Rombach et al. 2022, arXiv:2112.10752."""
    betas = tables.scaled_linear(num_steps, beta_start, beta_end)
    return from_alpha_bar(tables.alpha_bar(betas))


def cosine_beta(
    num_steps: int = 1000, s: float = 0.008, max_beta: float = 0.999
) -> Schedule:
    """alpha_bar ~ cos^2((t + s) / (1 + s) pi / 2). arXiv:2102.09672, eq. 17."""
    return from_alpha_bar(tables.alpha_bar(tables.cosine(num_steps, s, max_beta)))


def cosine(min_log_snr: float = -20.0, max_log_snr: float = 20.0) -> Schedule:
    """log_snr = -2 log tan(angle), angle linear in t: alpha = cos, sigma = sin.

    Cut at the given log-SNRs. Salimans & Ho 2022, arXiv:2202.00512, appendix.
    """
    low, high = min_log_snr, max_log_snr
    require(low < high, f"need min_log_snr < max_log_snr, got {low} and {high}")
    start, end = np.arctan(np.exp(-0.5 * np.array([high, low])))
    return _angles(float(start), float(end))


def angle(min_signal_rate: float = 0.02, max_signal_rate: float = 0.95) -> Schedule:
    """alpha = cos(a), sigma = sin(a), a linear from acos(max) to acos(min).

    sigma(0) is not 0: the cleanest image still holds sqrt(1 - max^2) noise.
    Source: Keras example "Denoising Diffusion Implicit Models" (diffusion angles).
    """
    low, high = min_signal_rate, max_signal_rate
    fits = 0 < low < high <= 1
    require(fits, f"need 0 < min_signal_rate < max_signal_rate <= 1, got {low}, {high}")
    return _angles(float(np.arccos(high)), float(np.arccos(low)))


def linear_log_snr(start: float = 13.3, end: float = -5.0) -> Schedule:
    """log_snr linear in t. Kingma et al. 2021 (VDM), arXiv:2107.00630, eq. 18."""
    require(start > end, f"the log-SNR must fall, got {start=} and {end=}")
    return from_log_alpha_bar(Partial(_line, start, end), Partial(_line_t, start, end))


def vp_sde(beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """log alpha = -t^2 (beta_max - beta_min) / 4 - t beta_min / 2.

    Source: Song et al. 2021, arXiv:2011.13456, eq. 32-33.
    """
    rises = (beta_min > 0) & (beta_max > beta_min)
    require(rises, f"need 0 < beta_min < beta_max, got {beta_min=}, {beta_max=}")
    args = (beta_min, beta_max)
    return from_log_alpha_bar(Partial(_sde, *args), Partial(_sde_t, *args))


def sigmoid(gain: float = 6.0, shift: float = 0.5, stop: float = 0.99996) -> Schedule:
    """sigma^2 = stop (y - y(0)) / (y(1) - y(0)),  y = sigmoid(gain (2t - 1 + shift)).

    Variance preserving, sigma(0) = 0 exactly. Source: the tabular model of the README.
    """
    fits = (gain > 0) & (stop > 0) & (stop < 1)
    require(fits, f"need gain > 0 and 0 < stop < 1, got {gain=}, {stop=}")
    args = (gain, shift, stop)
    return from_log_alpha_bar(Partial(_sigmoid, *args), Partial(_sigmoid_t, *args))


def linear_mix() -> Schedule:
    """alpha = 1 - t, sigma = t: rectified flow's straight path, exact at both ends.

    Source: Liu et al. 2022, arXiv:2209.03003; Lipman et al. 2022, arXiv:2210.02747.
    """
    return from_alpha_sigma(Partial(_mix_alpha), Partial(jnp.asarray), Partial(_mix_t))


def edm(sigma_max: float = 80.0, rho: float = 7.0) -> Schedule:
    """alpha = 1, sigma = sigma_max t^rho: equal steps in t are Karras' steps in sigma.

    Source: Karras et al. 2022, arXiv:2206.00364, eq. 5 with sigma_min = 0.
    """
    positive = (sigma_max > 0) & (rho > 0)
    require(positive, f"need sigma_max > 0 and rho > 0, got {sigma_max=}, {rho=}")
    return from_alpha_sigma(
        Partial(jnp.ones_like),
        Partial(_power, sigma_max, rho),
        Partial(_power_t, sigma_max, rho),
    )


# The formulas, at module level: jit knows a Partial again by its function.


def _log_ratio(alpha, sigma, t):
    return 2 * (jnp.log(alpha(t)) - jnp.log(sigma(t)))


def _bar_alpha(log_bar, t):
    return jnp.exp(0.5 * log_bar(t))


def _bar_sigma(log_bar, t):
    # 0 - x, not -x: minus zero at t = 0 would turn the root's derivative negative
    return jnp.sqrt(0.0 - jnp.expm1(log_bar(t)))


def _bar_t(t_of, log_snr):
    return t_of(-jax.nn.softplus(-log_snr))


def _table(times, log_bar, t):
    return jnp.interp(t, times, log_bar)


def _table_t(times, log_bar, value):
    return jnp.interp(-value, -log_bar, times)


def _angles(start: float, end: float) -> Schedule:
    span = end - start
    # the cosine as a sine of the complement, which keeps its digits near alpha = 0
    alpha = Partial(_angle_alpha, float(np.pi / 2 - end), span)
    sigma = Partial(_angle_sigma, start, span)
    return from_alpha_sigma(alpha, sigma, Partial(_angle_t, start, span))


def _angle_alpha(rest, span, t):
    return jnp.sin(rest + (1 - t) * span)


def _angle_sigma(start, span, t):
    return jnp.sin(start + t * span)


def _angle_t(start, span, log_snr):
    return (jnp.arctan(jnp.exp(-0.5 * log_snr)) - start) / span


def _line(start, end, t):
    return -jax.nn.softplus(-(start + (end - start) * t))


def _line_t(start, end, value):
    return (value - jnp.log(-jnp.expm1(value)) - start) / (end - start)


def _sde(beta_min, beta_max, t):
    return -0.5 * t**2 * (beta_max - beta_min) - t * beta_min


def _sde_t(beta_min, beta_max, value):
    # the quadratic's root in the form that does not cancel near t = 0
    root = jnp.sqrt(beta_min**2 - 2 * (beta_max - beta_min) * value)
    return -2 * value / (beta_min + root)


def _sigmoid(gain, shift, stop, t):
    start, end = _sigmoid_ends(gain, shift)
    y = jax.nn.sigmoid(gain * ((2 * t - 1) + shift))
    return jnp.log1p(-stop * (y - start) / (end - start))


def _sigmoid_t(gain, shift, stop, value):
    start, end = _sigmoid_ends(gain, shift)
    y = start - jnp.expm1(value) / stop * (end - start)
    return ((jnp.log(y) - jnp.log1p(-y)) / gain - shift + 1) / 2


def _sigmoid_ends(gain, shift):
    return jax.nn.sigmoid(gain * (shift - 1)), jax.nn.sigmoid(gain * (shift + 1))


def _mix_alpha(t):
    return 1 - t


def _mix_t(log_snr):
    return jax.nn.sigmoid(-0.5 * log_snr)


def _power(scale, rho, t):
    return scale * t**rho


def _power_t(scale, rho, log_snr):
    return (jnp.exp(-0.5 * log_snr) / scale) ** (1 / rho)
