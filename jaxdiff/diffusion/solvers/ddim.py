"""Denoising diffusion implicit models."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.denoisers import noise_of
from jaxdiff.diffusion.sampling import Solver, no_memory
from jaxdiff.diffusion.schedules import Schedule, level

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
    return Solver(Partial(no_memory), Partial(_step, schedule, eta))


def _step(schedule, eta, denoise, keys, x, t, s, state):
    alpha_t, sigma_t = level(schedule, t)
    alpha_s, sigma_s = level(schedule, s)
    den = denoise(x, t)
    eps = noise_of(den, x, alpha_t, sigma_t)
    z = rng.draw(jax.random.normal, keys, x.shape[1:])
    # upwards (inversion.py) there is no noise to draw, and the root is above 1
    root = jnp.minimum(alpha_t * sigma_s / (alpha_s * sigma_t), 1.0)
    # up and down as shares of sigma_s: sqrt(1 - share^2) stays exact at eta = 0
    share = eta * jnp.sqrt((1 - root) * (1 + root))
    down = jnp.sqrt((1 - share) * (1 + share))
    x = expand(alpha_s, x) * den.x0 + expand(sigma_s, x) * (
        expand(down, x) * eps + expand(share, x) * z
    )
    return x, state
