"""Editing: some values of x0 are known, and the others are sampled given these.

With m the known coordinates, f the free ones and y the known values of x0[m]:

(1)  q(x_s | x_t, x0) = N(of_x_t x_t + of_x0 x0, beta_tilde)   posterior.py, eq. 2, 3
(2)  x0[m] <- y  in the denoiser                                               `replace`
     By (1), an ancestral step then draws x_s[m] from q(x_s[m] | x_t[m], y). If x_T[m]
     is drawn from q(x_T[m] | y), the known coordinates follow the forward process of y
     backwards, exactly in distribution. They end at y, since beta_tilde = 0 at s = 0.
(3)  The step draws the free coordinates from   p(x_s[f] | x_t[f], x_t[m]);
     the correct distribution would be          p(x_s[f] | x_t[f], y).
     x_t[m] is y with independent noise. The step sees y only through that noise, and
     so depends on it too weakly: the free coordinates stay too close to their
     unconditional distribution.
(4)  x_t = alpha_ts x_s + sqrt(beta_ts) z,  then the step t -> s again        `resample`
     This alternates between the two conditionals of p(x_t, x_s) and draws the known
     coordinates again each time, which moves x_s[f] from (3) towards
     p(x_s[f] | x_s[m]). At the last time there is no noise, and x_s[m] is y.
(5)  x0[f] <- x0[f] + C_fm (C_mm + ridge r I)^-1 (y - x0[m]),  with (2)        `regress`
         C = Cov[x0 | x_t] = sigma^2 / alpha d x0 / d x_t
         r = sigma^2 / (alpha^2 + sigma^2)
     With ridge = 0 and Gaussian x0 this is E[x0 | x_t, y], so the bias of (3) vanishes
     for every solver. For other data it is the best linear estimate. r is the variance,
     given x_t, of a coordinate of unit variance; `ridge` scales how much of it is added
     to C.

Source: (2) "replacement", Song et al. 2021, arXiv:2011.13456, appendix I.2; its bias,
Trippe et al. 2023, arXiv:2206.04119; (4) Lugmayr et al. 2022, arXiv:2201.09865;
(5) Boys et al. 2023, arXiv:2310.06721, with the r of Song et al. 2023 (PiGDM).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxdiff.arrays import Array, Float, Int, PyTree, expand, require
from jaxdiff.diffusion.levels import level
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.sampling import make_solver
from jaxdiff.diffusion.types import (
    BoundDenoise,
    Denoise,
    Denoised,
    Edit,
    Schedule,
    Solver,
    StepNoise,
    Times,
)

__all__ = ["regress", "replace"]


def replace() -> Edit:
    """Set x0 to `values` where the mask is 1, equation 2; eps changes with it.

    With any solver whose last step returns x0, the known coordinates end at `values` to
    float precision. With the small variance they also follow the forward process on the
    way, so a learned variance is set to the small one there. The free coordinates are
    biased (equation 3); `resample` reduces the bias.

    Returns: Edit, (denoise, schedule, values, mask) -> Denoise.
    Source:  Song et al. 2021, arXiv:2011.13456, appendix I.2.
    """
    return Partial(_replace)


def _replace(
    denoise: Denoise, schedule: Schedule, values: ArrayLike, mask: ArrayLike
) -> Denoise:
    del schedule
    return Partial(_replaced, denoise, values, mask)


def _replaced(
    denoise: Denoise,
    values: ArrayLike,
    mask: ArrayLike,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    den = denoise(x_t, t, cond)
    known = _like(x_t, mask) > 0

    def free(a: Array | None) -> Array | None:
        return None if a is None else jnp.where(known, jnp.zeros_like(a), a)

    x0 = jnp.where(known, _like(x_t, values), den.x0)
    return den._replace(
        x0=x0, var_frac=free(den.var_frac), eps=None, mean_shift=free(den.mean_shift)
    )


def regress(ridge: float | Float[Array, ""] = 0.0) -> Edit:
    """Move the free coordinates by their covariance with the known ones, equation 5.

    This is for rows x f[b, d] with few columns. Each call costs d derivatives of the
    network and, per row, one eigenvalue problem, by which the network's derivatives
    become the nearest covariance matrix.

    Args:    ridge: no unit. 0 is exact for Gaussian data; a larger ridge relies less on
             the network's covariance, and in the limit gives `replace`.
    Returns: Edit, (denoise, schedule, values, mask) -> Denoise.
    Errors:  ValueError if ridge < 0, or if x_t is not f[b, d].
    Source:  Boys et al. 2023, arXiv:2310.06721.
    """
    require(ridge >= 0, f"ridge must be at least 0, got {ridge=}")
    return Partial(_regress, ridge)


def _regress(
    ridge: float | Float[Array, ""],
    denoise: Denoise,
    schedule: Schedule,
    values: ArrayLike,
    mask: ArrayLike,
) -> Denoise:
    inner = Partial(_regressed, ridge, denoise, schedule, values, mask)
    return Partial(_replaced, inner, values, mask)


def _regressed(
    ridge: float | Float[Array, ""],
    denoise: Denoise,
    schedule: Schedule,
    values: ArrayLike,
    mask: ArrayLike,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    require(x_t.ndim == 2, f"regress is for rows f[b, d], got {x_t.shape}; use replace")

    def run(x: Array) -> tuple[Array, Denoised]:
        den = denoise(x, t, cond)
        return den.x0, den

    x0, slope, den = jax.linearize(run, x_t, has_aux=True)
    eye = jnp.eye(x_t.shape[1], dtype=x_t.dtype)
    slopes = jax.vmap(lambda e: slope(_like(x_t, e)), out_axes=2)(eye)  # (b, i, j)
    alpha, sigma = (expand(f(t), slopes) for f in (schedule.alpha, schedule.sigma))
    # without signal (alpha = 0) the covariance is unknown, and nothing is moved
    safe = jnp.where(alpha > 0, alpha, 1.0)
    cov = jnp.where(alpha > 0, sigma**2 / safe, 0.0) * slopes
    # a network's Jacobian is not a covariance: take the nearest one
    roots, axes = jnp.linalg.eigh(0.5 * (cov + cov.mT))
    cov = (axes * jnp.maximum(roots, 0.0)[:, None, :]) @ axes.mT
    m = _like(x_t, mask)
    r = sigma**2 / (alpha**2 + sigma**2)
    hedge = (ridge + jnp.finfo(x_t.dtype).eps) * jnp.broadcast_to(r, cov.shape)
    among = jnp.where(m[:, :, None] * m[:, None, :] > 0, cov, 0.0)
    # at t = 0 nothing is uncertain, and nothing is moved
    hedge = jnp.where(hedge > 0, hedge, 1.0)
    among = among + eye[None] * jnp.where(m[:, :, None] > 0, hedge, 1.0)
    gap = m * (_like(x_t, values) - x0)
    shift = cov @ (m[..., None] * jnp.linalg.solve(among, gap[..., None]))
    return den._replace(x0=x0 + shift[..., 0], eps=None)


def _like(x_t: Array, a: ArrayLike) -> Array:
    """`a` in the type and shape of x_t; new axes are added in front."""
    a = jnp.asarray(a, x_t.dtype)
    return jnp.broadcast_to(a.reshape((1,) * (x_t.ndim - a.ndim) + a.shape), x_t.shape)


def resample(solver: Solver, schedule: Schedule, repeats: int) -> Solver:
    """Repeat every step t -> s: between repeats, x_s is noised back to t (equation 4).

    Args:    solver: any; its noise must be normal.  schedule: that of the solver.
             repeats: of each step; every repeat costs as many denoiser calls as the
             solver's step. 1 is the solver itself, with other keys.
    Returns: Solver. Its memory, if any, is that of the last repeat.
    Errors:  ValueError if repeats < 1.
    Source:  Lugmayr et al. 2022, arXiv:2201.09865, algorithm 1.
    """
    require(repeats >= 1, f"resample must be at least 1, got {repeats}")
    # the number is kept as a shape, because the length of a scan is static
    counts = jnp.arange(repeats)
    return make_solver(Partial(_resampled, solver, schedule, counts), solver.init)


def _resampled(
    solver: Solver,
    schedule: Schedule,
    counts: Int[Array, "repeats"],
    denoise: BoundDenoise,
    noise: StepNoise,
    x: Array,
    t: Array,
    s: Array,
    state: PyTree,
) -> tuple[Array, PyTree]:
    keep = level(schedule, t)[0] / level(schedule, s)[0]
    std = jnp.sqrt(posterior(schedule, t, s).large)

    def once(
        carry: tuple[Array, Array, PyTree], count: Array
    ) -> tuple[tuple[Array, Array, PyTree], None]:
        down = partial(noise, 2 * count)
        x_s, after = solver.step(denoise, down, carry[0], t, s, state)
        return (keep * x_s + std * noise(2 * count + 1), x_s, after), None

    # the x_t that the last repeat noises again is not used
    (_, x_s, after), _ = jax.lax.scan(once, (x, x, state), counts)
    return x_s, after
