"""Multistep sampling of consistency models."""

from jax.tree_util import Partial

from jaxdiff.arrays import Array
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.moves import denoise_at
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

# It approximates no ODE: it is exact for a model that predicts the end of the path.
ORDER = None


def make(schedule: Schedule) -> Solver:
    """x_s = alpha_s x0 + sigma_s z: jump to the end of the path, then add noise again.

    Args:    schedule: the one the denoiser was trained with. The denoiser's x0 must be
             the end of the path through x_t, not the mean of the data given x_t.
    Returns: Solver without memory, one denoiser call a step.
    Source:  Song et al. 2023, arXiv:2303.01469, algorithm 1.
    """
    return make_solver(Partial(_step, schedule))


def _step(
    schedule: Schedule,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: tuple[()],
) -> tuple[Array, tuple[()]]:
    _, x0 = denoise_at(denoise, schedule, x, t)
    alpha, sigma = level(schedule, s)
    return alpha * x0 + sigma * noise(), state
