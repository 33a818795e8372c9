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
    root,
    sigma_down,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 1.0) -> Solver:
    """One move with noise (moves.py, eq. 3), with a parabola through three estimates.

    x0 <- mean of the parabola over the step in lam, weighted by e^((1 + eta) lam)

    This is exactly the integral in the variation-of-constants formula. The code
    published with the paper, and everything derived from it, gives the quadratic term
    half of this weight, which reduces the method from third order to second.

    Args:    schedule: the one the denoiser was trained with.
             eta: no unit, >= 0; 0 solves the ODE, 1 the SDE whose first order is
             ancestral sampling.
    Returns: Solver that remembers two estimates, one denoiser call a step. The first
             two steps and the step to 0 have lower order. The order is 3 without noise;
             with noise it is 2, and weak, as for dpmpp_2m_sde.
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
    share = root(-jnp.expm1(-2 * eta * h))
    x = move(x, jnp.where(there[1] > 0, mean, x0), here, sigma_down(there, share))
    return x + there[1] * share * noise(), past
