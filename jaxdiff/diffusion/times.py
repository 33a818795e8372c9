"""How training samples its times.

(1)  t = sampler(u),   u in [0, 1]

Each sampler is the quantile function of its density, so uniform u gives times with that
density. How u is drawn is a separate choice: independently for each example, or
*stratified*, spread evenly over the batch (rng.py, eq. 3), which reduces the variance
of the loss for every density.

Each name in `__all__` can be chosen by a config. Every maker takes the schedule,
although only those of sigma use it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.types import Curve, Schedule

__all__ = [
    "constant",
    "discrete",
    "log_uniform_sigma",
    "logit_normal",
    "lognormal_sigma",
    "uniform",
]

TimeSampler = Callable[[Float[Array, "b"]], Float[Array, "b"]]


def uniform(schedule: Schedule) -> TimeSampler:
    """t ~ U(0, 1].

    t = 0 is excluded, because some targets are infinite there.

    Args:    schedule: unused.
    Returns: TimeSampler, u f[b] -> t f[b].
    """
    del schedule
    return Partial(_uniform)


def _uniform(u: Float[Array, "b"]) -> Float[Array, "b"]:
    return 1 - u


def discrete(schedule: Schedule, num_steps: int = 1000) -> TimeSampler:
    """t uniform on {1/T, 2/T, ..., 1}, the entries of a DDPM table.

    Args:    schedule: unused.  num_steps: T, the number of entries.
    Returns: TimeSampler, u f[b] -> t f[b].
    Errors:  ValueError if num_steps < 1.
    Source:  Ho et al. 2020, arXiv:2006.11239, algorithm 1.
    """
    del schedule
    require(num_steps >= 1, f"num_steps must be at least 1, got {num_steps=}")
    return Partial(_discrete, float(num_steps))


def _discrete(num_steps: float | Array, u: Float[Array, "b"]) -> Float[Array, "b"]:
    # for u just below 1 the product may round up to T, and t would exceed 1
    return jnp.minimum(jnp.floor(u * num_steps) + 1, num_steps) / num_steps


def constant(schedule: Schedule, t: float = 1.0) -> TimeSampler:
    """The same t for every example. t = 0 trains a classifier on clean data.

    Args:    schedule: unused.  t: in [0, 1].
    Returns: TimeSampler, u f[b] -> t f[b].
    Errors:  ValueError if t is outside [0, 1].
    """
    del schedule
    require(0 <= t <= 1, f"t must be in [0, 1], got {t=}")
    return Partial(_constant, t)


def _constant(t: float | Array, u: Float[Array, "b"]) -> Float[Array, "b"]:
    return jnp.full_like(u, t)


def logit_normal(
    schedule: Schedule, mean: float = 0.0, std: float = 1.0
) -> TimeSampler:
    """logit(t) ~ N(mean, std^2): most times lie around sigmoid(mean).

    Args:    schedule: unused.  mean, std: of logit(t), no unit.
    Returns: TimeSampler, u f[b] -> t f[b].
    Errors:  ValueError if std <= 0.
    Source:  Esser et al. 2024, arXiv:2403.03206, eq. 19.
    """
    del schedule
    require(std > 0, f"std must be > 0, got {std=}")
    return Partial(_logit_normal, mean, std)


def _logit_normal(
    mean: float | Array, std: float | Array, u: Float[Array, "b"]
) -> Float[Array, "b"]:
    return jax.nn.sigmoid(mean + std * _normal(u))


def lognormal_sigma(
    schedule: Schedule, mean: float = -1.2, std: float = 1.2
) -> TimeSampler:
    """log(sigma / alpha) ~ N(mean, std^2), the noise levels of EDM.

    A sampled level above the schedule's highest gives a t above 1. EDM's schedule,
    sigma_max t^rho, is defined there too. One below the lowest gives a t below 0, where
    no sampler goes: on `angle`, whose lowest is .33, half of the default levels.

    Args:    schedule: its t_of turns the level into a time.
             mean, std: of log(sigma / alpha), no unit.
    Returns: TimeSampler, u f[b] -> t f[b].
    Errors:  ValueError if std <= 0.
    Source:  P_mean and P_std of Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    require(std > 0, f"std must be > 0, got {std=}")
    return Partial(_lognormal_sigma, schedule.t_of, mean, std)


def _lognormal_sigma(
    t_of: Curve, mean: float | Array, std: float | Array, u: Float[Array, "b"]
) -> Float[Array, "b"]:
    return t_of(-2 * (mean + std * _normal(u)))


def log_uniform_sigma(
    schedule: Schedule, low: float | Array = 0.02, high: float | Array = 100.0
) -> TimeSampler:
    """log(sigma / alpha) ~ U(log low, log high), the noise levels of the VE SDE.

    A level beyond the schedule's ends gives a t beyond [0, 1], as in `lognormal_sigma`.

    Args:    schedule: its t_of turns the level into a time.
             low, high: of sigma / alpha, no unit.
    Returns: TimeSampler, u f[b] -> t f[b].
    Errors:  ValueError unless 0 < low < high.
    Source:  Song et al. 2021, arXiv:2011.13456, eq. 31.
    """
    require((0 < low) & (low < high), f"need 0 < low < high, got {low=}, {high=}")
    return Partial(_log_uniform_sigma, schedule.t_of, low, high)


def _log_uniform_sigma(
    t_of: Curve, low: float | Array, high: float | Array, u: Float[Array, "b"]
) -> Float[Array, "b"]:
    return t_of(-2 * (jnp.log(low) + u * jnp.log(high / low)))


def _normal(u: Float[Array, "b"]) -> Float[Array, "b"]:
    # the normal quantiles of 0 and 1 are infinite
    tiny = jnp.finfo(u.dtype).eps
    return ndtri(jnp.clip(u, tiny, 1 - tiny))
