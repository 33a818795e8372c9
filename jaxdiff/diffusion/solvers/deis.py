"""Diffusion exponential integrator sampler."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import require
from jaxdiff.diffusion.moves import (
    denoise_at,
    half_log_snr,
    mean_over,
    move,
    no_past,
    noise_at,
    remember,
)
from jaxdiff.diffusion.sampling import Solver
from jaxdiff.diffusion.schedules import Schedule, level

ORDER = 3


def make(schedule: Schedule, *, order: int = 3) -> Solver:
    """The polynomial in log(sigma / alpha) through the newest eps, integrated exactly.

    eps <- mean over the step in lam, weighted by sigma / alpha = e^-lam

    Args:    schedule: the one the denoiser was trained with.  order: 1 (DDIM) to 4.
    Returns: Solver that remembers `order` noises, one denoiser call a step; the first
             steps and that to 0 are of lower order.
    Errors:  ValueError for another order.
    Source:  Zhang & Chen 2023, arXiv:2204.13902, with their "log rho".
    """
    require(1 <= order <= 4, f"order must be from 1 to 4, got {order=}")
    return Solver(Partial(_init, jnp.arange(order)), Partial(_step, schedule))


def _init(slots, x):
    return no_past(x, len(slots))


def _step(schedule, denoise, keys, x, t, s, past):
    del keys
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    eps = noise_at(x, x0, here)
    past = remember(past, eps, half_log_snr(here))
    to = half_log_snr(there)
    # from pure noise no signal can be worked out of eps: x0 stays
    mean = mean_over(past, to, past.nodes[0] - to) - eps
    full = (there[1] > 0) & (here[0] > 0)
    safe = jnp.where(here[0] > 0, here[0], 1.0)
    span = there[1] - there[0] * here[1] / safe
    return move(x, x0, here, there) + jnp.where(full, span * mean, 0.0), past
