"""The times that training draws: each sampler is the quantile function of its density.

(1)  t = sampler(u),  u ~ U[0, 1)

So how u is drawn is another matter: independently per example, or *stratified*, one u
evenly spread over the batch (rng.py, eq. 3), which steadies the loss for any density.
Each name in `__all__` can be chosen by a config. All take the schedule, though only
the samplers of noise levels use it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.types import Curve, Schedule

__all__ = ["constant", "discrete", "logit_normal", "lognormal_sigma", "uniform"]

TimeSampler = Callable[[Float[Array, "b"]], Float[Array, "b"]]


def uniform(schedule: Schedule) -> TimeSampler:
    """t ~ U(0, 1]: never the clean end, where some targets are infinite."""
    del schedule
    return Partial(_uniform)


def _uniform(u: Float[Array, "b"]) -> Float[Array, "b"]:
    return 1 - u


def discrete(schedule: Schedule, num_steps: int = 1000) -> TimeSampler:
    """t uniform on {1, ..., T} / T: the entries of a table.

    Args:   num_steps: T.
    Errors: ValueError for num_steps < 1.
    Source: Ho et al. 2020, arXiv:2006.11239, algorithm 1.
    """
    del schedule
    require(num_steps >= 1, f"num_steps must be at least 1, got {num_steps=}")
    return Partial(_discrete, float(num_steps))


def _discrete(num_steps: float | Array, u: Float[Array, "b"]) -> Float[Array, "b"]:
    # u just below 1 may round up to T: the last time is still T / T
    return jnp.minimum(jnp.floor(u * num_steps) + 1, num_steps) / num_steps


def constant(schedule: Schedule, t: float = 1.0) -> TimeSampler:
    """Always the same time; t = 0, the data itself, is for classifiers of it.

    Errors: ValueError for t outside [0, 1].
    """
    del schedule
    require(0 <= t <= 1, f"t must be in [0, 1], got {t=}")
    return Partial(_constant, t)


def _constant(t: float | Array, u: Float[Array, "b"]) -> Float[Array, "b"]:
    return jnp.full_like(u, t)


def logit_normal(
    schedule: Schedule, mean: float = 0.0, std: float = 1.0
) -> TimeSampler:
    """logit(t) ~ N(mean, std^2).

    Errors: ValueError for std <= 0.
    Source: Esser et al. 2024, arXiv:2403.03206, eq. 19.
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
    """log(sigma / alpha) ~ N(mean, std^2).

    The time may pass 1 where sigma may pass the schedule's last; EDM's curve continues.

    Errors: ValueError for std <= 0.
    Source: P_mean and P_std of Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    require(std > 0, f"std must be > 0, got {std=}")
    return Partial(_lognormal_sigma, schedule.t_of, mean, std)


def _lognormal_sigma(
    t_of: Curve, mean: float | Array, std: float | Array, u: Float[Array, "b"]
) -> Float[Array, "b"]:
    return t_of(-2 * (mean + std * _normal(u)))


def _normal(u: Float[Array, "b"]) -> Float[Array, "b"]:
    # u = 0 can be drawn, and its normal quantile is -inf
    tiny = jnp.finfo(u.dtype).eps
    return ndtri(jnp.clip(u, tiny, 1 - tiny))
