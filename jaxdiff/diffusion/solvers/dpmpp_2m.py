"""DPM-Solver++(2M)."""

from jaxdiff.diffusion.solvers import dpmpp_2m_sde
from jaxdiff.diffusion.types import Schedule, Solver

ORDER = 2


def make(schedule: Schedule) -> Solver:
    """DPM-Solver++(2M), which is `dpmpp_2m_sde` without noise.

    Args:    schedule: the one the denoiser was trained with.
    Returns: Solver that remembers one estimate, one denoiser call a step. The first
             step and the step to 0 have order 1.
    Source:  Lu et al. 2022, arXiv:2211.01095, algorithm 2.
    """
    return dpmpp_2m_sde.make(schedule, eta=0.0)
