"""Heun's second-order method, with churn."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, require
from jaxdiff.diffusion import grids
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.moves import (
    Churn,
    Where,
    churn_up,
    denoise_at,
    make_churn,
    move,
    noise_at,
    where_any,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2
GRID = grids.exponential

# The f of each frame: y = x / (alpha + f sigma), as a function of
# u = sigma / (alpha + f sigma), has the slope eps - f x0.
FRAMES = {"ve": 0.0, "flow": 1.0}


def make(
    schedule: Schedule,
    *,
    churn: float = 0.0,
    churn_low: float = 0.0,
    churn_high: float = float("inf"),
    churn_noise: float = 1.0,
    frame: str = "ve",
) -> Solver:
    """Euler's step, taken again with the mean of the slopes at its two ends.

    Args:    schedule: the one the denoiser was trained with.
             churn, churn_low, churn_high, churn_noise: see moves.Churn.
             frame: the variable in which the slopes are averaged: "ve" (sigma / alpha,
             as in EDM) or "flow" (sigma / (alpha + sigma), an average of velocities).
    Returns: Solver without memory. It makes two denoiser calls a step, but one in the
             step to 0 and, in the frame "ve", one from pure noise, where sigma / alpha
             is infinite.
    Errors:  ValueError for a negative churn field or another frame.
    Source:  Karras et al. 2022, arXiv:2206.00364, algorithm 2.
    """
    require(frame in FRAMES, f"frame must be one of {', '.join(FRAMES)}, got {frame=}")
    churned = make_churn(churn, churn_low, churn_high, churn_noise)
    return make_solver(Partial(_step, schedule, churned, FRAMES[frame]))


def _step(
    schedule: Schedule,
    churn: Churn,
    f: float | Array,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: tuple[()],
) -> tuple[Array, tuple[()]]:
    x, t = churn_up(churn, schedule, noise, x, t)
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    first = move(x, x0, here, there)
    size_t, size_s = (alpha + f * sigma for alpha, sigma in (here, there))
    full = (there[1] > 0) & (size_t > 0)

    def again(where: Where) -> Array:
        # where this is off the result is not used, and at t it is finite
        y, y0 = denoise_at(denoise, schedule, where(first, x), where(s, t))
        safe = jnp.where(size_t > 0, size_t, 1.0)
        span = there[1] - size_s * here[1] / safe
        eps = noise_at(y, y0, where(there, here))
        bend = eps - noise_at(x, x0, here) - f * (y0 - x0)
        return first + 0.5 * span * bend

    return where_any(full, again, first), state
