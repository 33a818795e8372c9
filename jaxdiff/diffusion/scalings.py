"""Scalings change the size of x_t and keep its signal-to-noise ratio.

(1)  unscaled:  alpha and sigma as the schedule defines them
(2)  vp:        alpha^2 + sigma^2 = 1,   both divided by sqrt(alpha^2 + sigma^2)
(3)  ve:        alpha = 1,               both divided by alpha; needs alpha(1) > 0
(4)  flow:      alpha + sigma = 1,       both divided by alpha + sigma

log_snr and t_of stay as they are. Every scaling applies to every schedule, and values
that are exact at the ends stay exact. Each name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.types import Curve, Schedule

__all__ = ["flow", "unscaled", "ve", "vp"]

# (alpha, sigma) -> the number f[...] that both are divided by
Size = Callable[[Array, Array], Array]


def unscaled(schedule: Schedule) -> Schedule:
    """The schedule itself, equation 1."""
    return schedule


def vp(schedule: Schedule) -> Schedule:
    """The schedule with alpha^2 + sigma^2 = 1 (variance preserving), equation 2.

    Args:    schedule: any.
    Returns: Schedule with the same log_snr.
    Source:  Song et al. 2021, arXiv:2011.13456.
    """
    return _divided(schedule, jnp.hypot)


def ve(schedule: Schedule) -> Schedule:
    """The schedule with alpha = 1 (variance exploding), equation 3.

    Args:    schedule: any with alpha(1) > 0.
    Returns: Schedule with the same log_snr.
    Errors:  ValueError if alpha(1) = 0, since sigma(1) would be infinite.
    Source:  Karras et al. 2022, arXiv:2206.00364.
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
    """The schedule with alpha + sigma = 1, as in flow matching, equation 4.

    Args:    schedule: any.
    Returns: Schedule with the same log_snr.
    Source:  Lipman et al. 2022, arXiv:2210.02747.
    """
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
