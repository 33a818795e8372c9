"""Euler's method, with churn."""

from jax.tree_util import Partial

from jaxdiff.diffusion.moves import Churn, churn_up, denoise_at, move
from jaxdiff.diffusion.sampling import Solver, no_memory
from jaxdiff.diffusion.schedules import Schedule, level

ORDER = 1


def make(
    schedule: Schedule,
    *,
    churn: float = 0.0,
    churn_low: float = 0.0,
    churn_high: float = float("inf"),
    churn_noise: float = 1.0,
) -> Solver:
    """Straight on along the noise, moves.py eq. 1; without churn it is DDIM.

    Args:    schedule: the one the denoiser was trained with.
             churn, churn_low, churn_high, churn_noise: see moves.Churn.
    Returns: Solver without memory, one denoiser call a step.
    Errors:  ValueError for a negative churn.
    Source:  Karras et al. 2022, arXiv:2206.00364, algorithm 2 without its second half.
    """
    churned = Churn.checked(churn, churn_low, churn_high, churn_noise)
    return Solver(Partial(no_memory), Partial(_step, schedule, churned))


def _step(schedule, churn, denoise, keys, x, t, s, state):
    x, t = churn_up(churn, schedule, keys, x, t)
    x, x0 = denoise_at(denoise, schedule, x, t)
    return move(x, x0, level(schedule, t), level(schedule, s)), state
