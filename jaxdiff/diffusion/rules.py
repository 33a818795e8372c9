"""Rules of guidance: what two estimates of x0 make, one wanted more than the other.

With c the one wanted (told the condition, or of the better model), n the other, w the
scale, all of x0 and so of every prediction (affine in one another at a fixed x_t, t):

(1)  x0 = n + w (c - n)                                              linear
(2)  (1) brought to the standard deviation of c, by a share phi      rescaled
(3)  (1) of which the part along c counts eta times, and the         apg
     difference is no longer than `norm`
(4)  x0 by (1), eps of n                                             plus_plus
(5)  (1) of velocities, with n's scaled to c's, none at first        zero_star

w = 0 is n alone and w = 1 c alone in (1); 1 is c alone in (2) and (3) too.
Each name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.denoisers import Denoised, noise_of
from jaxdiff.diffusion.schedules import coeffs

__all__ = ["apg", "linear", "plus_plus", "rescaled", "zero_star"]

# (schedule, scale, x_t, t, wanted Denoised, other Denoised) -> Denoised
Rule = Callable[..., Denoised]


def linear() -> Rule:
    """Equation 1. Source: Ho & Salimans 2022, arXiv:2207.12598 (their w is w - 1)."""
    return Partial(_linear)


def rescaled(phi: float | Float[Array, ""] = 0.7) -> Rule:
    """Equation 2, image by image: large scales no longer wash out.

    Args:   phi: no unit, in [0, 1]; 0 is `linear`.
    Source: Lin et al. 2023, arXiv:2305.08891, eq. 14-16, of x0.
    """
    require((phi >= 0) & (phi <= 1), f"phi must be in [0, 1], got {phi=}")
    return Partial(_rescaled, phi)


def apg(
    eta: float | Float[Array, ""] = 0.0, norm: float | Float[Array, ""] = jnp.inf
) -> Rule:
    """Equation 3, adaptive projected guidance, image by image, without its momentum.

    Args:   eta: no unit; 1 with norm = inf is `linear`.
            norm: length that c - n is cut to, in model units of the whole image.
    Errors: ValueError for norm <= 0.
    Source: Sadat et al. 2024, arXiv:2410.02416, algorithm 1. Their momentum would be a
            memory, which a denoiser has none of.
    """
    require(norm > 0, f"norm must be above 0, got {norm=}")
    return Partial(_apg, eta, norm)


def plus_plus() -> Rule:
    """Equation 4 (CFG++): what is left of the noise is the other's.

    Scales are from 0 to 1, like an interpolation: 1 is about as much as 10 of `linear`.
    Source: Chung et al. 2024, arXiv:2406.08070, algorithm 1.
    """
    return Partial(_plus_plus)


def zero_star(zero: float | Float[Array, ""] = 0.0) -> Rule:
    """Equation 5 (CFG-Zero*): n's velocity times <c, n> / <n, n>, image by image.

    Args:   zero: above t = 1 - zero nothing moves: the velocity is 0.
    Errors: ValueError for zero outside [0, 1).
    Source: Fan et al. 2025, arXiv:2503.18886, for flows; here for any schedule.
    """
    require((zero >= 0) & (zero < 1), f"zero must be in [0, 1), got {zero=}")
    return Partial(_zero_star, zero)


def _between(scale, wanted, other):
    return other + scale * (wanted - other)


def _linear(schedule, scale, x_t, t, wanted, other):
    del schedule, x_t, t
    eps = None if wanted.eps is None else _between(scale, wanted.eps, other.eps)
    return wanted._replace(x0=_between(scale, wanted.x0, other.x0), eps=eps)


def _rescaled(phi, schedule, scale, x_t, t, wanted, other):
    guided = _linear(schedule, scale, x_t, t, wanted, other)
    axes = tuple(range(1, x_t.ndim))

    def spread(x):
        return jnp.std(x, axis=axes, keepdims=True)

    ratio = spread(wanted.x0) / jnp.maximum(spread(guided.x0), 1e-12)
    return guided._replace(x0=guided.x0 * (phi * ratio + (1 - phi)), eps=None)


def _apg(eta, norm, schedule, scale, x_t, t, wanted, other):
    del schedule, t
    axes = tuple(range(1, x_t.ndim))

    def dot(a, b):
        return jnp.sum(a * b, axis=axes, keepdims=True)

    tiny = jnp.finfo(x_t.dtype).tiny
    apart = wanted.x0 - other.x0
    length = jnp.sqrt(jnp.maximum(dot(apart, apart), tiny))
    apart = apart * jnp.minimum(1.0, norm / length)
    size = jnp.maximum(dot(wanted.x0, wanted.x0), tiny)
    along = dot(apart, wanted.x0) / size * wanted.x0
    x0 = wanted.x0 + (scale - 1) * (apart - along + eta * along)
    return wanted._replace(x0=x0, eps=None)


def _plus_plus(schedule, scale, x_t, t, wanted, other):
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    eps = noise_of(other, x_t, alpha, sigma)
    return wanted._replace(x0=_between(scale, wanted.x0, other.x0), eps=eps)


def _zero_star(zero, schedule, scale, x_t, t, wanted, other):
    c = coeffs(schedule, jnp.broadcast_to(t, x_t.shape[:1]))
    alpha, sigma, d_alpha, d_sigma = (
        expand(v, x_t) for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
    )
    drift = d_sigma / sigma  # v = of_x0 x0 + drift x_t
    of_x0 = d_alpha - drift * alpha
    axes = tuple(range(1, x_t.ndim))
    own, base = (of_x0 * den.x0 + drift * x_t for den in (wanted, other))
    size = jnp.sum(base * base, axis=axes, keepdims=True)
    match = jnp.sum(own * base, axis=axes, keepdims=True)
    match = match / jnp.maximum(size, jnp.finfo(x_t.dtype).tiny)
    v = match * base + scale * (own - match * base)
    v = jnp.where(expand(c.t, x_t) > 1 - zero, 0.0, v)
    return wanted._replace(x0=(v - drift * x_t) / of_x0, eps=None)
