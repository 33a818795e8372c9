"""Scalings: the same signal-to-noise ratio, another size of x_t.

(1)  own:   as the schedule has it
(2)  vp:    alpha^2 + sigma^2 = 1       (1) divided by sqrt(alpha^2 + sigma^2)
(3)  ve:    alpha = 1                   ... by alpha; needs alpha(1) > 0
(4)  flow:  alpha + sigma = 1           ... by alpha + sigma

log_snr and its inverse stay. Any schedule takes any scaling, and ends stay exact.
"""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import require
from jaxdiff.diffusion.schedules import Schedule

__all__ = ["flow", "own", "ve", "vp"]


def own(schedule: Schedule) -> Schedule:
    """Equation 1."""
    return schedule


def vp(schedule: Schedule) -> Schedule:
    """Equation 2. Source: Song et al. 2021, arXiv:2011.13456."""
    return _divided(schedule, jnp.hypot)


def ve(schedule: Schedule) -> Schedule:
    """Equation 3. Source: Karras et al. 2022, arXiv:2206.00364.

    Errors: ValueError if alpha(1) = 0: the noise would be infinite.
    """
    require(
        schedule.alpha(jnp.ones(())) > 0,
        "scaling 've' needs a schedule with alpha(1) > 0; use 'vp', 'flow' or 'own'",
    )
    return _divided(schedule, _first)


def flow(schedule: Schedule) -> Schedule:
    """Equation 4. Source: Lipman et al. 2022, arXiv:2210.02747."""
    return _divided(schedule, jnp.add)


def _divided(schedule, size):
    pair = Partial(size), schedule.alpha, schedule.sigma
    return schedule._replace(alpha=Partial(_alpha, *pair), sigma=Partial(_sigma, *pair))


def _first(alpha, _):
    return alpha


def _alpha(size, alpha, sigma, t):
    return alpha(t) / size(alpha(t), sigma(t))


def _sigma(size, alpha, sigma, t):
    return sigma(t) / size(alpha(t), sigma(t))
