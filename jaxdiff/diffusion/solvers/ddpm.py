"""Ancestral sampling of denoising diffusion probabilistic models."""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.posterior import log_variance, posterior, unlearned_fraction
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import BoundDenoise, Schedule, Solver, StepNoise

ORDER = 1

# The fraction between the small and the large variance; None takes the network's.
FRACTIONS = {"small": 0.0, "large": 1.0, "learned": None}


def make(schedule: Schedule, *, variance: str = "small") -> Solver:
    """Draw x_s from p(x_s | x_t), the posterior at the estimate of x0.

    x_s = of_x_t x_t + of_x0 x0 + var mean_shift + sqrt(var) z

    The coefficients and log var are those of posterior.py, eq. 2 and 4. mean_shift is
    that of guidance.py, eq. 3, or 0. The step to 0 adds no noise, and keeps the shift;
    there the small variance is 0, and with it the shift.

    Args:    schedule: the one the denoiser was trained with; any subset of its times.
             variance: "small" (beta_tilde, the same as DDIM with eta = 1), "large"
             (beta) or "learned" (the denoiser gives var_frac).
    Returns: Solver that remembers where its last step began, one denoiser call a step.
    Errors:  ValueError for another variance.
    Source:  Ho et al. 2020, arXiv:2006.11239, algorithm 2; Nichol & Dhariwal 2021,
             arXiv:2102.09672, eq. 15; Dhariwal & Nichol 2021, arXiv:2105.05233,
             algorithm 1, for the shift.
    """
    require(
        variance in FRACTIONS,
        f"variance must be one of {', '.join(FRACTIONS)}, got {variance=}",
    )
    step = Partial(_step, schedule, FRACTIONS[variance])
    return make_solver(step, Partial(_no_step_before))


def _no_step_before(x: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
    return expand(jnp.zeros(len(x), x.dtype), x)


def _step(
    schedule: Schedule,
    frac: float | Array | None,
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    before: Float[Array, "b ..."],
) -> tuple[Array, Float[Array, "b ..."]]:
    den = denoise(x, t)
    post = posterior(schedule, t, s)
    learned = frac is None
    share = den.var_frac if learned else unlearned_fraction(frac, s)
    if share is None:
        raise ValueError("variance='learned' needs a denoiser that gives var_frac")
    var = jnp.exp(log_variance(schedule, t, s, share, before))
    mean = post.of_x_t * x + post.of_x0 * den.x0
    if den.mean_shift is not None:
        shift = var if learned else jnp.where((s <= 0) & (frac == 0), 0.0, var)
        mean = mean + shift * den.mean_shift
    z = jnp.where(s > 0, jnp.sqrt(var) * noise(), 0.0)
    return mean + z, jnp.broadcast_to(t, before.shape).astype(before.dtype)
