"""Pseudo linear multistep method (PLMS, the second half of PNDM)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.diffusion.moves import denoise_at, move, no_past, noise_at, remember
from jaxdiff.diffusion.sampling import Solver
from jaxdiff.diffusion.schedules import Schedule, level

ORDER = 2

# Adams-Bashforth for even steps, row k from k + 1 noises, newest first. The first
# step's second noise is the one at its end, of which it takes the mean.
TABLE = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [3 / 2, -1 / 2, 0.0, 0.0],
        [23 / 12, -16 / 12, 5 / 12, 0.0],
        [55 / 24, -59 / 24, 37 / 24, -9 / 24],
    ]
)


def make(schedule: Schedule) -> Solver:
    """Adams-Bashforth's mean of the newest eps, moved as DDIM does.

    x_s = alpha_s / alpha_t (x_t - sigma_t eps) + sigma_s eps

    Args:    schedule: the one the denoiser was trained with; steps even in its t.
    Returns: Solver that remembers four noises, one denoiser call a step and two in the
             first; the step to 0, and the one from pure noise, are DDIM's.
    Source:  Liu et al. 2022, arXiv:2202.09778, eq. 12-13; the start as in latent
             diffusion's PLMS.
    """
    return Solver(Partial(_init), Partial(_step, schedule))


def _init(x):
    return no_past(x, 4)


def _step(schedule, denoise, keys, x, t, s, past):
    del keys
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    eps = noise_at(x, x0, here)
    past = remember(past, eps, t)
    weights = jnp.asarray(TABLE.astype(x.dtype))[past.count - 1]
    first = move(x, x0, here, there)
    full = (there[1] > 0) & (here[0] > 0)

    def start(_):
        y, y0 = denoise_at(denoise, schedule, first, s)
        return 0.5 * (eps + noise_at(y, y0, there))

    def go_on(_):
        return jnp.tensordot(weights, past.values, 1)

    mean = jax.lax.cond(full & (past.count == 1), start, go_on, None)
    span = there[1] - there[0] * here[1] / jnp.where(here[0] > 0, here[0], 1.0)
    return first + jnp.where(full, span * (mean - eps), 0.0), past
