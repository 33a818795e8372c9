"""DPM-Solver++(2M) for the diffusion SDE."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.levels import half_log_snr, level
from jaxdiff.diffusion.moves import (
    Past,
    denoise_at,
    make_memory,
    move,
    remember,
    root,
    sigma_down,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 1.0) -> Solver:
    """One move with noise (moves.py, eq. 3), with x0 extrapolated from the last step.

    x0 <- x0 + h / (2 h_before) (x0 - x0_before),   share = sqrt(1 - e^(-2 eta h))

    Args:    schedule: the one the denoiser was trained with.
             eta: no unit, >= 0; 0 solves the ODE, 1 the SDE whose first order is
             ancestral sampling.
    Returns: Solver that remembers one estimate, one denoiser call a step. The first
             step and the step to 0 have order 1. With noise, the order is weak:
             x0_before contains the noise of a step one step late, and all of these
             delays but the last cancel in the distribution.
    Errors:  ValueError if eta is negative.
    Source:  Lu et al. 2022, arXiv:2211.01095, algorithm 2 and the appendix on SDEs.
    """
    require(eta >= 0, f"eta must be at least 0, got {eta=}")
    return make_solver(Partial(_step, schedule, eta), make_memory(1))


def _step(
    schedule: Schedule,
    eta: float | Array,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    past: Past,
) -> tuple[Array, Past]:
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    lam = half_log_snr(here)
    h = half_log_snr(there) - lam
    on = (past.count > 0) & (there[1] > 0)
    before = jnp.where(on, lam - past.nodes[0], 1.0)
    ahead = x0 + jnp.where(on, 0.5 * h / before, 0.0) * (x0 - past.values[0])
    share = root(-jnp.expm1(-2 * eta * h))
    x = move(x, ahead, here, sigma_down(there, share))
    return x + there[1] * share * noise(), remember(past, x0, lam)
