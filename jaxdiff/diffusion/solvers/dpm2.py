"""DPM-Solver-2's midpoint method, deterministic or ancestral."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.levels import half_log_snr, level, time_at
from jaxdiff.diffusion.moves import (
    Where,
    ancestral_share,
    denoise_at,
    move,
    noise_at,
    sigma_down,
    where_any,
)
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 2


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 0.0) -> Solver:
    """Midpoint method: eps half way in log(sigma / alpha) serves for the whole step.

    x_m = move to lam_m = (lam_t + lam_s) / 2;  x_s = move with eps(x_m), moves.py eq. 1

    Args:    schedule: the one the denoiser was trained with.
             eta: no unit, in [0, 1]; 0 is deterministic, 1 ancestral (moves.py, eq. 3).
    Returns: Solver without memory. It makes two denoiser calls a step, but one in the
             step to 0 and in the step from pure noise. With noise, the order is weak:
             that of the distribution of x_s.
    Errors:  ValueError if eta is outside [0, 1].
    Source:  Lu et al. 2022, arXiv:2206.00927, algorithm 1, in terms of sigma / alpha
             as in Karras et al. 2022, arXiv:2206.00364.
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
    first = move(x, x0, here, down)
    full = (down[1] > 0) & (here[0] > 0)

    def middle(where: Where) -> Array:
        m = time_at(schedule, 0.5 * (half_log_snr(here) + half_log_snr(down)))
        # where this is off the result is not used, and at t it is finite
        m = where(m, t)
        mid = level(schedule, m)
        y, y0 = denoise_at(denoise, schedule, move(x, x0, here, mid), m)
        span = down[1] - down[0] * here[1] / jnp.where(here[0] > 0, here[0], 1.0)
        return first + span * (noise_at(y, y0, mid) - noise_at(x, x0, here))

    return where_any(full, middle, first) + there[1] * share * noise(), state
