"""How much the variational bound and a training loss count the error of each time.

(1)  L_t = w(t) |out - target|^2 + c                  likelihood.py, eq. 4
(2)  loss = E over random t of f(t) |out - target|^2  losses.py, eq. 2

Both are averages of one network's errors, with other weights: w, and f times the
density of the random t.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.likelihood import step_weight
from jaxdiff.diffusion.losses import Objective
from jaxdiff.diffusion.predictions import native_weight
from jaxdiff.diffusion.types import Schedule
from jaxdiff.diffusion.weights import target_factor

# Draws of the density of training times, which are evenly spread.
DRAWS = 100_000


def compare(
    objective: Objective,
    schedule: Schedule,
    t: np.ndarray,
    step: float,
    frac: float = 0.0,
) -> dict[str, np.ndarray]:
    """The weights of the bound and of a loss at times f64[n], mean 1 each.

    Args:    t: where steps of that length start, falling.  frac: the bound's variance;
             a learned one is not used.
    Returns: "bound" and "loss" f64[n], NaN where the output does not determine x0.
    """
    time = jnp.asarray(t, jnp.float32)
    c = coeffs(schedule, time)
    row = objective.prediction(c)
    kl = step_weight(schedule, time, time - step, frac)
    u = (jnp.arange(DRAWS) + 0.5) / DRAWS
    # a time at the end of a step belongs to it, also where it was rounded up
    drawn = np.asarray(jax.jit(objective.times)(u), np.float64) - 1e-6
    density, _ = np.histogram(drawn, np.append(t[::-1] - step, t[0]))
    result = {
        "bound": np.float64(kl) / np.float64(native_weight(row, c)),
        "loss": np.float64(target_factor(objective.weight, row, c)) * density[::-1],
    }
    finite = np.isfinite(result["bound"]) & np.isfinite(result["loss"])
    return {
        k: np.where(finite, v / v[finite].mean(), np.nan) for k, v in result.items()
    }
