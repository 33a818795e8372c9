"""Ancestral sampling of denoising diffusion probabilistic models."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, require
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.posterior import log_variance, posterior
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 1

# The fraction between the small and the large variance; None takes the network's.
FRACTIONS = {"small": 0.0, "large": 1.0, "learned": None}


def make(schedule: Schedule, *, variance: str = "small") -> Solver:
    """Draw x_s from p(x_s | x_t), the posterior at the estimate of x0.

    x_s = of_x_t x_t + of_x0 x0 + exp(log_var) mean_shift + exp(log_var / 2) z

    The coefficients and log_var are those of posterior.py, eq. 2 and 4. mean_shift is
    that of guidance.py, eq. 3, or 0. The step to 0 adds no noise.

    Args:    schedule: the one the denoiser was trained with; any subset of its times.
             variance: "small" (beta_tilde, the same as DDIM with eta = 1), "large"
             (beta) or "learned" (the denoiser gives var_frac).
    Returns: Solver without memory, one denoiser call a step.
    Errors:  ValueError for another variance.
    Source:  Ho et al. 2020, arXiv:2006.11239, algorithm 2; Nichol & Dhariwal 2021,
             arXiv:2102.09672, eq. 15.
    """
    require(
        variance in FRACTIONS,
        f"variance must be one of {', '.join(FRACTIONS)}, got {variance=}",
    )
    return make_solver(Partial(_step, schedule, FRACTIONS[variance]))


def _step(
    schedule: Schedule,
    frac: float | Array | None,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: tuple[()],
) -> tuple[Array, tuple[()]]:
    den = denoise(x, t)
    post = posterior(schedule, t, s)
    frac = den.var_frac if frac is None else jnp.full_like(x, frac)
    if frac is None:
        raise ValueError("variance='learned' needs a denoiser that gives var_frac")
    log_var = log_variance(schedule, t, s, frac)
    std = jnp.where(level(schedule, s)[1] > 0, jnp.exp(0.5 * log_var), 0.0)
    mean = post.of_x_t * x + post.of_x0 * den.x0
    if den.mean_shift is not None:
        mean = mean + std**2 * den.mean_shift
    return mean + std * noise(), state
