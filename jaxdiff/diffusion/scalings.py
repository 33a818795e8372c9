"""Scalings: the same signal-to-noise ratio, another size of x_t.

(1)  unscaled:  alpha and sigma of the schedule
(2)  vp:        alpha^2 + sigma^2 = 1      (1) divided by sqrt(alpha^2 + sigma^2)
(3)  ve:        alpha = 1                  ... by alpha; needs alpha(1) > 0
(4)  flow:      alpha + sigma = 1          ... by alpha + sigma

log_snr and its inverse stay. Any schedule takes any scaling, and ends stay exact. Each
name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.types import Curve, Schedule

__all__ = ["flow", "unscaled", "ve", "vp"]

# (alpha, sigma) -> what both are divided by, f[...]
Size = Callable[[Array, Array], Array]


def unscaled(schedule: Schedule) -> Schedule:
    """Equation 1."""
    return schedule


def vp(schedule: Schedule) -> Schedule:
    """Equation 2. Source: Song et al. 2021, arXiv:2011.13456."""
    return _divided(schedule, jnp.hypot)


def ve(schedule: Schedule) -> Schedule:
    """Equation 3.

    Errors: ValueError if alpha(1) = 0: the noise would be infinite.
    Source: Karras et al. 2022, arXiv:2206.00364.
    """
    require(
        schedule.alpha(jnp.ones(())) > 0,
        "scaling 've' needs a schedule with alpha(1) > 0; use 'vp', 'flow' or "
        "'unscaled'",
    )
    return _divided(schedule, _first)


def _first(alpha: Array, sigma: Array) -> Array:
    del sigma
    return alpha


def flow(schedule: Schedule) -> Schedule:
    """Equation 4. Source: Lipman et al. 2022, arXiv:2210.02747."""
    return _divided(schedule, jnp.add)


def _divided(schedule: Schedule, size: Size) -> Schedule:
    pair = Partial(size), schedule.alpha, schedule.sigma
    return schedule._replace(alpha=Partial(_alpha, *pair), sigma=Partial(_sigma, *pair))


def _alpha(
    size: Size, alpha: Curve, sigma: Curve, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return alpha(t) / size(alpha(t), sigma(t))


def _sigma(
    size: Size, alpha: Curve, sigma: Curve, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return sigma(t) / size(alpha(t), sigma(t))
