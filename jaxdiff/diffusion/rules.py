"""Rules of guidance: how two estimates of x0 become one.

m is the main estimate (conditional, or from the better model), n the guide that x0
moves away from, and w the scale. The formulas hold for x0 and for every prediction,
since at fixed x_t and t each is an affine function of any other.

(1)  x0 = n + w (m - n)                                               linear
(2)  (1), rescaled by a share phi to the standard deviation of m      rescaled
(3)  (1), with the part along m multiplied by eta and the             apg
     difference m - n no longer than `norm`
(4)  x0 by (1), but eps of n                                          plus_plus
(5)  (1) for velocities, with the velocity of n scaled to fit         zero_star
     that of m, and velocity 0 at first

In (1), w = 0 gives n and w = 1 gives m. In (2) and (3), w = 1 gives m too.

Each name in `__all__` can be chosen by a config.
"""

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.denoisers import noise_of
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.types import Denoised, Rule, Scale, Schedule, Times

__all__ = ["apg", "linear", "plus_plus", "rescaled", "zero_star"]


def linear() -> Rule:
    """x0 = n + w (m - n), equation 1.

    Source: Ho & Salimans 2022, arXiv:2207.12598 (their w is w - 1).
    """
    return Partial(_linear)


def _linear(
    schedule: Schedule | None,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    main: Denoised,
    guide: Denoised,
) -> Denoised:
    del schedule, t
    x0 = _between(scale, x_t, main.x0, guide.x0)
    if main.eps is None:
        return main._replace(x0=x0)
    if guide.eps is None:
        raise ValueError("only one of two estimates keeps its noise; clip both alike")
    return main._replace(x0=x0, eps=_between(scale, x_t, main.eps, guide.eps))


def _between(scale: Scale, x_t: Array, main: Array, guide: Array) -> Array:
    return guide + _beside(scale, x_t) * (main - guide)


def _beside(scale: Scale, x_t: Array) -> Array:
    """The scale in a shape that multiplies x_t; scale f[] or f[b]."""
    return expand(jnp.asarray(scale, x_t.dtype), x_t)


def rescaled(phi: float | Float[Array, ""] = 0.7) -> Rule:
    """Equation 2, for each image: large scales no longer wash images out.

    Args:   phi: no unit, in [0, 1]; 0 is `linear`.
    Errors: ValueError if phi is outside [0, 1].
    Source: Lin et al. 2023, arXiv:2305.08891, eq. 14-16, applied to x0.
    """
    require((phi >= 0) & (phi <= 1), f"phi must be in [0, 1], got {phi=}")
    return Partial(_rescaled, phi)


def _rescaled(
    phi: float | Float[Array, ""],
    schedule: Schedule | None,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    main: Denoised,
    guide: Denoised,
) -> Denoised:
    guided = _linear(schedule, scale, x_t, t, main, guide)
    axes = tuple(range(1, x_t.ndim))

    def spread(x: Array) -> Array:
        return jnp.std(x, axis=axes, keepdims=True)

    whole = spread(guided.x0)
    ratio = jnp.where(whole > 0, spread(main.x0) / jnp.maximum(whole, 1e-12), 1.0)
    return guided._replace(x0=guided.x0 * (phi * ratio + (1 - phi)), eps=None)


def apg(
    eta: float | Float[Array, ""] = 0.0, norm: float | Float[Array, ""] = jnp.inf
) -> Rule:
    """Adaptive projected guidance, equation 3, for each image, without its momentum.

    Args:   eta: no unit; 1 with norm = inf is `linear`.
            norm: the most length of m - n, in model units of the whole image.
    Errors: ValueError if norm <= 0.
    Source: Sadat et al. 2024, arXiv:2410.02416, algorithm 1. Its momentum is left out,
            because it would be a memory, and a denoiser has none.
    """
    require(norm > 0, f"norm must be above 0, got {norm=}")
    return Partial(_apg, eta, norm)


def _apg(
    eta: float | Float[Array, ""],
    norm: float | Float[Array, ""],
    schedule: Schedule | None,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    main: Denoised,
    guide: Denoised,
) -> Denoised:
    del schedule, t
    axes = tuple(range(1, x_t.ndim))

    def dot(a: Array, b: Array) -> Array:
        return jnp.sum(a * b, axis=axes, keepdims=True)

    tiny = jnp.finfo(x_t.dtype).tiny
    apart = main.x0 - guide.x0
    length = jnp.sqrt(jnp.maximum(dot(apart, apart), tiny))
    apart = apart * jnp.minimum(1.0, norm / length)
    size = jnp.maximum(dot(main.x0, main.x0), tiny)
    along = dot(apart, main.x0) / size * main.x0
    x0 = main.x0 + (_beside(scale, x_t) - 1) * (apart - along + eta * along)
    return main._replace(x0=x0, eps=None)


def plus_plus() -> Rule:
    """CFG++, equation 4: the noise that remains in x_s is that of the guide.

    Scales run from 0 to 1, as in an interpolation; 1 acts about as strongly as 10 of
    `linear`.

    Source: Chung et al. 2024, arXiv:2406.08070, algorithm 1.
    """
    return Partial(_plus_plus)


def _plus_plus(
    schedule: Schedule,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    main: Denoised,
    guide: Denoised,
) -> Denoised:
    eps = noise_of(guide, x_t, schedule.alpha(t), schedule.sigma(t))
    return main._replace(x0=_between(scale, x_t, main.x0, guide.x0), eps=eps)


def zero_star(zero: float | Float[Array, ""] = 0.0) -> Rule:
    """CFG-Zero*, equation 5: n's velocity is multiplied by <m, n> / <n, n>, per image.

    Args:   zero: for t > 1 - zero the velocity is 0, and x_t stays as it is on
            `linear_mix` and `edm`; on other schedules a step scales it a little.
    Errors: ValueError if zero is outside [0, 1).
    Source: Fan et al. 2025, arXiv:2503.18886, for flows; here for every schedule.
    """
    require((zero >= 0) & (zero < 1), f"zero must be in [0, 1), got {zero=}")
    return Partial(_zero_star, zero)


def _zero_star(
    zero: float | Float[Array, ""],
    schedule: Schedule,
    scale: Scale,
    x_t: Float[Array, "b ..."],
    t: Times,
    main: Denoised,
    guide: Denoised,
) -> Denoised:
    c = coeffs(schedule, jnp.broadcast_to(t, x_t.shape[:1]))
    alpha, sigma, d_alpha, d_sigma = (
        expand(v, x_t) for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)
    )
    # v = of_x0 x0 + drift x_t; at sigma = 0, x0 is x_t / alpha whatever v is
    drift = d_sigma / jnp.where(sigma > 0, sigma, 1.0)
    of_x0 = d_alpha - drift * alpha
    axes = tuple(range(1, x_t.ndim))
    v_main, v_guide = (of_x0 * den.x0 + drift * x_t for den in (main, guide))
    size = jnp.sum(v_guide * v_guide, axis=axes, keepdims=True)
    match = jnp.sum(v_main * v_guide, axis=axes, keepdims=True)
    match = match / jnp.maximum(size, jnp.finfo(x_t.dtype).tiny)
    v = match * v_guide + _beside(scale, x_t) * (v_main - match * v_guide)
    v = jnp.where(expand(c.t, x_t) > 1 - zero, 0.0, v)
    x0 = jnp.where(sigma > 0, (v - drift * x_t) / of_x0, x_t / alpha)
    return main._replace(x0=x0, eps=None)
