"""Linear multistep method in sigma / alpha."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, require
from jaxdiff.diffusion.levels import level
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

ORDER = 4


def make(schedule: Schedule, *, order: int = 4) -> Solver:
    """Adams-Bashforth: integrate the polynomial in sigma / alpha through the last eps.

    Args:    schedule: the one the denoiser was trained with.  order: 1 (DDIM) to 4.
    Returns: Solver that remembers `order` noises, one denoiser call a step. The first
             steps and the step to 0 have lower order. From pure noise, where sigma /
             alpha is infinite, it starts to remember after the first step.
    Errors:  ValueError for another order.
    Source:  k-diffusion's sample_lms.
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
    safe = jnp.where(here[0] > 0, here[0], 1.0)
    eps, ratio = noise_at(x, x0, here), here[1] / safe
    past = remember(past, eps, ratio)
    more = mean_over(past, there[1] / there[0], 0.0) - eps
    full = (there[1] > 0) & (here[0] > 0)
    x = move(x, x0, here, there)
    x = x + jnp.where(full, (there[1] - there[0] * ratio) * more, 0.0)
    return x, past._replace(count=jnp.where(here[0] > 0, past.count, 0))
