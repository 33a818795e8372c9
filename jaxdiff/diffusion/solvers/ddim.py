"""Denoising diffusion implicit models."""

from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.denoisers import noise_of
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.moves import ancestral_share, root
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 1


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 0.0) -> Solver:
    """Denoising diffusion implicit step; eta = 1 is ancestral sampling.

    x_s = alpha_s x0 + sqrt(sigma_s^2 - up^2) eps + up z
    up  = eta sigma_s sqrt(1 - snr_t / snr_s)

    Args:    schedule: the one the denoiser was trained with.  eta: no unit, in [0, 1].
    Returns: Solver without memory, one denoiser call a step.
    Errors:  ValueError if eta is outside [0, 1].
    Source:  Song et al. 2021, arXiv:2010.02502, eq. 12 and 16.
    """
    require((eta >= 0) & (eta <= 1), f"eta must be in [0, 1], got {eta=}")
    return make_solver(Partial(_step, schedule, eta))


def _step(
    schedule: Schedule,
    eta: float | Array,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: tuple[()],
) -> tuple[Array, tuple[()]]:
    here, there = level(schedule, t), level(schedule, s)
    den = denoise(x, t)
    eps = noise_of(den, x, *here)
    # up and down are shares of sigma_s, because sqrt(1 - share^2) is exact at eta = 0
    share = ancestral_share(eta, here, there)
    down = root((1 - share) * (1 + share))
    return there[0] * den.x0 + there[1] * (down * eps + share * noise()), state
