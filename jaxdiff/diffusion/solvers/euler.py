"""Euler's method, with churn."""

from jax.tree_util import Partial

from jaxdiff.arrays import Array
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.moves import Churn, churn_up, denoise_at, make_churn, move
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 1


def make(
    schedule: Schedule,
    *,
    churn: float = 0.0,
    churn_low: float = 0.0,
    churn_high: float = float("inf"),
    churn_noise: float = 1.0,
) -> Solver:
    """A straight step along eps, moves.py eq. 1. Without churn it is DDIM.

    Args:    schedule: the one the denoiser was trained with.
             churn, churn_low, churn_high, churn_noise: see moves.Churn.
    Returns: Solver without memory, one denoiser call a step.
    Errors:  ValueError if a churn field is negative.
    Source:  Karras et al. 2022, arXiv:2206.00364, algorithm 2 without its second half.
    """
    churned = make_churn(churn, churn_low, churn_high, churn_noise)
    return make_solver(Partial(_step, schedule, churned))


def _step(
    schedule: Schedule,
    churn: Churn,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: tuple[()],
) -> tuple[Array, tuple[()]]:
    x, t = churn_up(churn, schedule, noise, x, t)
    x, x0 = denoise_at(denoise, schedule, x, t)
    return move(x, x0, level(schedule, t), level(schedule, s)), state
