"""Pseudo linear multistep method (PLMS, the second half of PNDM)."""

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array
from jaxdiff.diffusion import grids
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.moves import (
    Past,
    Where,
    denoise_at,
    make_memory,
    move,
    noise_at,
    remember,
    where_any,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2
GRID = grids.exponential

# Adams-Bashforth weights for equal steps; row k is for k + 1 noises, newest first. The
# first step instead takes the mean of the noises at its two ends.
TABLE = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [3 / 2, -1 / 2, 0.0, 0.0],
        [23 / 12, -16 / 12, 5 / 12, 0.0],
        [55 / 24, -59 / 24, 37 / 24, -9 / 24],
    ]
)


def make(schedule: Schedule) -> Solver:
    """DDIM's step with the Adams-Bashforth mean of the newest eps.

    x_s = alpha_s / alpha_t (x_t - sigma_t eps) + sigma_s eps

    Args:    schedule: the one the denoiser was trained with; steps are equal in t.
    Returns: Solver that remembers four noises. It makes one denoiser call a step and
             two in the first. The step to 0 and the step from pure noise are DDIM's.
    Source:  Liu et al. 2022, arXiv:2202.09778, eq. 12-13; the first step as in latent
             diffusion's PLMS.
    """
    return make_solver(Partial(_step, schedule), make_memory(4))


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
    past = remember(past, eps, t)
    first = move(x, x0, here, there)
    full = (there[1] > 0) & (here[0] > 0)

    def start(where: Where) -> Array:
        # where this is off the result is not used, and at t it is finite
        y, y0 = denoise_at(denoise, schedule, where(first, x), where(s, t))
        return 0.5 * (eps + noise_at(y, y0, where(there, here)))

    weights = jnp.asarray(TABLE.T.astype(x.dtype))[:, past.count - 1]
    # all examples take their first step at once
    begins = full & jnp.all(past.count == 1)
    mean = where_any(begins, start, (weights * past.values).sum(0))
    span = there[1] - there[0] * here[1] / jnp.where(here[0] > 0, here[0], 1.0)
    return first + jnp.where(full, span * (mean - eps), 0.0), past
