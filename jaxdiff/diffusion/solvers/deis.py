"""Diffusion exponential integrator sampler."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, require
from jaxdiff.diffusion.levels import half_log_snr, level
from jaxdiff.diffusion.moves import (
    Past,
    denoise_at,
    make_memory,
    mean_over,
    move,
    noise_at,
    remember,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 3


def make(schedule: Schedule, *, order: int = 3) -> Solver:
    """Integrate the polynomial in log(sigma / alpha) through the newest eps exactly.

    eps <- mean over the step in lam, weighted by sigma / alpha = e^-lam

    Args:    schedule: the one the denoiser was trained with.  order: 1 (DDIM) to 4.
    Returns: Solver that remembers `order` noises, one denoiser call a step. The first
             steps and the step to 0 have lower order.
    Errors:  ValueError for another order.
    Source:  Zhang & Chen 2023, arXiv:2204.13902, the variant in log rho.
    """
    require(1 <= order <= 4, f"order must be from 1 to 4, got {order=}")
    return make_solver(Partial(_step, schedule), make_memory(order))


def _step(
    schedule: Schedule,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    past: Past,
) -> tuple[Array, Past]:
    del noise
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    eps = noise_at(x, x0, here)
    past = remember(past, eps, half_log_snr(here))
    to = half_log_snr(there)
    # at alpha = 0, eps does not determine x0, so the step is taken with x0 alone
    mean = mean_over(past, to, past.nodes[0] - to) - eps
    full = (there[1] > 0) & (here[0] > 0)
    safe = jnp.where(here[0] > 0, here[0], 1.0)
    span = there[1] - there[0] * here[1] / safe
    return move(x, x0, here, there) + jnp.where(full, span * mean, 0.0), past
