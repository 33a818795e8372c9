"""DPM-Solver++(3M) for the diffusion SDE."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.levels import half_log_snr, level
from jaxdiff.diffusion.moves import (
    Past,
    denoise_at,
    make_memory,
    mean_over,
    move,
    remember,
    sigma_down,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 1.0) -> Solver:
    """One step of moves.py eq. 3 with the mean of the parabola through three x0.

    x0 <- mean over the step in lam, weighted by e^((1 + eta) lam): exactly the integral
    of the variation of constants. (The code that came with the paper, and all that
    follow it, give the parabola's quadratic term half this weight, which makes their
    third order a second.)

    Args:    schedule: the one the denoiser was trained with.
             eta: no unit, >= 0; 0 is the ODE, 1 the SDE whose first order is ancestral.
    Returns: Solver that remembers two estimates, one denoiser call a step; the first
             two steps and that to 0 are of lower order. Of order 3 without noise; with
             it of order 2, in law, as dpmpp_2m_sde.
    Errors:  ValueError if eta is negative.
    Source:  Lu et al. 2022, arXiv:2211.01095, eq. 9 with a polynomial of degree two.
    """
    require(eta >= 0, f"eta must be at least 0, got {eta=}")
    return make_solver(Partial(_step, schedule, eta), make_memory(3))


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
    past = remember(past, x0, half_log_snr(here))
    to = half_log_snr(there)
    h = to - past.nodes[0]
    mean = mean_over(past, to, (1 + eta) * h)
    share = jnp.sqrt(-jnp.expm1(-2 * eta * h))
    x = move(x, jnp.where(there[1] > 0, mean, x0), here, sigma_down(there, share))
    return x + there[1] * share * noise(), past
