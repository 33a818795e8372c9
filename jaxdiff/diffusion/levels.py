"""The noise level at a time: a schedule, evaluated.

(1)  d alpha / dt, d sigma / dt             by jax.jvp in `coeffs`, never by hand
(2)  lam = log(alpha / sigma) = log_snr / 2
"""

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.diffusion.types import Coeffs, Schedule

# (alpha, sigma), both f[...] of one shape
Level = tuple[Float[Array, "..."], Float[Array, "..."]]

# Beyond this log-SNR signal or noise is far below float32's resolution of the other.
LOG_SNR_LIMIT = 40.0
END = 1e-6


def coeffs(schedule: Schedule, t: Float[Array, "*b"]) -> Coeffs:
    """Evaluate a schedule and its time derivatives (eq. 1) at t.

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


def level(schedule: Schedule, t: Float[Array, "*b"]) -> Level:
    """alpha and sigma of a *sampling* time: (1, 0) at t = 0, which is the data itself.

    Training may keep noise at its cleanest time (sigma(0) = .31 for `angle`); a
    sampler's last step, to t = 0, gives x0 all the same.
    """
    data = t <= 0
    alpha = jnp.where(data, jnp.ones_like(t), schedule.alpha(t))
    return alpha, jnp.where(data, jnp.zeros_like(t), schedule.sigma(t))


def half_log_snr(level: Level) -> Float[Array, "..."]:
    """Equation 2, large but finite where there is no noise or no signal."""
    tiny = jnp.finfo(level[0].dtype).tiny
    return jnp.log(jnp.maximum(level[0], tiny)) - jnp.log(jnp.maximum(level[1], tiny))


def time_at(schedule: Schedule, lam: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """The times of lams, within [0, 1]."""
    return jnp.clip(schedule.t_of(2 * lam), 0.0, 1.0)
