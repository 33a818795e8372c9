"""The noise level at a time, which is a schedule evaluated there.

(1)  d alpha / dt, d sigma / dt                by jax.jvp in `coeffs`, never by hand
(2)  lam = log(alpha / sigma) = log_snr / 2
"""

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.diffusion.types import Coeffs, Schedule

# (alpha, sigma), both f[...] of one shape
Level = tuple[Float[Array, "..."], Float[Array, "..."]]

# Beyond +-40, signal or noise is far below the resolution of the other in float32.
LOG_SNR_LIMIT = 40.0
END = 1e-6


def coeffs(schedule: Schedule, t: Float[Array, "*b"]) -> Coeffs:
    """Evaluate a schedule and its time derivatives (eq. 1) at t.

    alpha and sigma are exact. Values that are infinite at an exact end are kept finite:
    log_snr is cut to +-LOG_SNR_LIMIT, and derivatives are taken at least END away from
    the ends, because the root in sigma = sqrt(1 - alpha^2) has none at t = 0. Beyond
    t = 1 (churn on the schedule `edm`) they are those of t.

    Args:    schedule: any.  t: f[] or f[b].
    Returns: Coeffs of f[...] like t.
    """
    inside = jnp.where(t > 1, t, jnp.clip(t, END, 1 - END))
    one = jnp.ones_like(inside)
    _, d_alpha = jax.jvp(schedule.alpha, (inside,), (one,))
    _, d_sigma = jax.jvp(schedule.sigma, (inside,), (one,))
    log_snr = jnp.clip(schedule.log_snr(t), -LOG_SNR_LIMIT, LOG_SNR_LIMIT)
    return Coeffs(t, schedule.alpha(t), schedule.sigma(t), d_alpha, d_sigma, log_snr)


def level(schedule: Schedule, t: Float[Array, "*b"]) -> Level:
    """alpha and sigma at a *sampling* time. At t = 0 they are (1, 0), the data itself.

    A schedule for training may keep noise at its cleanest time (sigma(0) = .31 for
    `angle`). The last step of a sampler, to t = 0, returns x0 nevertheless.

    Args:    schedule: any.  t: f[] or f[b].
    Returns: (alpha, sigma), f[...] like t.
    """
    data = t <= 0
    alpha = jnp.where(data, jnp.ones_like(t), schedule.alpha(t))
    return alpha, jnp.where(data, jnp.zeros_like(t), schedule.sigma(t))


def half_log_snr(level: Level) -> Float[Array, "..."]:
    """lam of equation 2, kept finite where there is no noise or no signal."""
    tiny = jnp.finfo(level[0].dtype).tiny
    return jnp.log(jnp.maximum(level[0], tiny)) - jnp.log(jnp.maximum(level[1], tiny))


def time_at(schedule: Schedule, lam: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """The times of given lam, cut to [0, 1]."""
    return jnp.clip(schedule.t_of(2 * lam), 0.0, 1.0)
