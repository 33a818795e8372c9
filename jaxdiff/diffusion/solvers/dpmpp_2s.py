"""DPM-Solver++(2S), deterministic or ancestral."""

import jax
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.moves import (
    ancestral_share,
    denoise_at,
    half_log_snr,
    move,
    scaled_noise,
    sigma_down,
    time_at,
)
from jaxdiff.diffusion.sampling import Solver, no_memory
from jaxdiff.diffusion.schedules import Schedule, level

ORDER = 2


def make(schedule: Schedule, *, eta: float | Float[Array, ""] = 0.0) -> Solver:
    """The data estimate half way in lam stands for that of the whole step.

    x_m = move to where lam is (lam_t + lam_s) / 2;   x_s with x0(x_m), moves.py eq. 1

    Args:    schedule: the one the denoiser was trained with.
             eta: no unit, in [0, 1]; 0 is deterministic, 1 ancestral (moves.py, eq. 3).
    Returns: Solver without memory, two denoiser calls a step; one in the step to 0 and
             from pure noise. With noise, the order is that of the law.
    Errors:  ValueError if eta is outside [0, 1].
    Source:  Lu et al. 2022, arXiv:2211.01095, algorithm 1 with r = 1/2.
    """
    require((eta >= 0) & (eta <= 1), f"eta must be in [0, 1], got {eta=}")
    return Solver(Partial(no_memory), Partial(_step, schedule, eta))


def _step(schedule, eta, denoise, keys, x, t, s, state):
    x, x0 = denoise_at(denoise, schedule, x, t)
    here, there = level(schedule, t), level(schedule, s)
    share = ancestral_share(eta, here, there)
    down = sigma_down(there, share)

    def middle(_):
        m = time_at(schedule, 0.5 * (half_log_snr(here) + half_log_snr(down)))
        y, y0 = denoise_at(denoise, schedule, move(x, x0, here, level(schedule, m)), m)
        del y
        return y0

    full = (down[1] > 0) & (here[0] > 0)
    x0 = jax.lax.cond(full, middle, lambda _: x0, None)
    x = move(x, x0, here, down)
    return x + scaled_noise(keys, x, there[1] * share), state
