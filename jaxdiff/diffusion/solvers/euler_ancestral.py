"""Euler's method with ancestral noise."""

from jaxdiff.diffusion.solvers import ddim
from jaxdiff.diffusion.types import Schedule, Solver

ORDER = 1


def make(schedule: Schedule, *, eta: float = 1.0) -> Solver:
    """An Euler step down to sigma sqrt(1 - share^2), then noise: DDIM with this eta.

    In x / alpha, DDIM's step is Euler's step in sigma / alpha, and the shares are
    equal.

    Args:    schedule: the one the denoiser was trained with.  eta: no unit, in [0, 1].
    Returns: Solver without memory, one denoiser call a step.
    Errors:  ValueError if eta is outside [0, 1].
    Source:  k-diffusion's sample_euler_ancestral; Song et al. 2021, arXiv:2010.02502.
    """
    return ddim.make(schedule, eta=eta)
