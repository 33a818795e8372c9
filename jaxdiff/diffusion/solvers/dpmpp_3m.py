"""DPM-Solver++(3M)."""

from jaxdiff.diffusion.solvers import dpmpp_3m_sde
from jaxdiff.diffusion.types import Schedule, Solver

ORDER = 3


def make(schedule: Schedule) -> Solver:
    """DPM-Solver++(3M), which is `dpmpp_3m_sde` without noise.

    Args:    schedule: the one the denoiser was trained with.
    Returns: Solver that remembers two estimates, one denoiser call a step. The first
             two steps and the step to 0 have lower order.
    Source:  Lu et al. 2022, arXiv:2211.01095, section 4.
    """
    return dpmpp_3m_sde.make(schedule, eta=0.0)
