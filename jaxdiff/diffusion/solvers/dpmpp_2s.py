"""DPM-Solver++(2S), deterministic or ancestral."""

from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.levels import half_log_snr, level, time_at
from jaxdiff.diffusion.moves import (
    Where,
    ancestral_share,
    denoise_at,
    move,
    sigma_down,
    where_any,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 0.0) -> Solver:
    """The estimate of x0 half way in lam serves for the whole step.

    x_m = move to lam_m = (lam_t + lam_s) / 2;   x_s = move with x0(x_m), moves.py eq. 1

    Args:    schedule: the one the denoiser was trained with.
             eta: no unit, in [0, 1]; 0 is deterministic, 1 ancestral (moves.py, eq. 3).
    Returns: Solver without memory. It makes two denoiser calls a step, but one in the
             step to 0 and in the step from pure noise. With noise, the order is weak:
             that of the distribution of x_s.
    Errors:  ValueError if eta is outside [0, 1].
    Source:  Lu et al. 2022, arXiv:2211.01095, algorithm 1 with r = 1/2.
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
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    share = ancestral_share(eta, here, there)
    down = sigma_down(there, share)
    full = (down[1] > 0) & (here[0] > 0)

    def middle(where: Where) -> Array:
        m = time_at(schedule, 0.5 * (half_log_snr(here) + half_log_snr(down)))
        # where this is off the result is not used, and at t it is finite
        m = where(m, t)
        y = move(x, x0, here, level(schedule, m))
        return denoise_at(denoise, schedule, y, m)[1]

    x = move(x, where_any(full, middle, x0), here, down)
    return x + there[1] * share * noise(), state
