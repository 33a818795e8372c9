"""Editing: some values of x0 are known, the rest is sampled given them.

With m the known coordinates, f the free ones and y = x0[m] the known values:

(1)  q(x_s | x_t, x0) = N(of_x_t x_t + of_x0 x0, beta_tilde)   posterior.py, eq. 2, 3
(2)  x0[m] <- y  in the denoiser: `replace`.  By (1) an ancestral step then draws x_s[m]
     from q(x_s[m] | x_t[m], y); with x_T[m] ~ q(x_T[m] | y) the known coordinates walk
     the forward process of y backwards, exactly in law, and end at y, for beta_tilde is
     0 at s = 0.
(3)  x_s[f] ~ p(x_s[f] | x_t[f], x_t[m])  is what the step does with the free ones,
     p(x_s[f] | x_t[f], y)                is what it should do:
     given y, x_t[m] is y and noise of its own, and says nothing more. The step hears
     of y through that noise alone, hence too little: the free coordinates come out
     nearer to their unconditional law.
(4)  x_t = alpha_ts x_s + sqrt(beta_ts) z,  then again t -> s: `resample`.
     p(x_t, x_s) is a joint law; to go to and fro between its two conditionals, with the
     known coordinates renewed each time, leads x_s[f] from (3) towards
     p(x_s[f] | x_s[m]). The noise ends at 0, where x_s[m] is y.
(5)  x0[f] <- x0[f] + C_fm (C_mm + ridge r I)^-1 (y - x0[m])  beside (2): `regress`.
         C = Cov[x0 | x_t] = sigma^2 / alpha d x0 / d x_t
         r = sigma^2 / (alpha^2 + sigma^2)
     With ridge = 0 and Gaussian x0 this is E[x0 | x_t, y] itself, so that (3) is cured
     for every solver. Elsewhere it is the best linear estimate; r is the variance of a
     coordinate of unit variance given x_t, by so much of which C is hedged.

Source: (2) "replacement", Song et al. 2021, arXiv:2011.13456, appendix I.2, its bias
Trippe et al. 2023, arXiv:2206.04119; (4) Lugmayr et al. 2022, arXiv:2201.09865;
(5) Boys et al. 2023, arXiv:2310.06721, with the r of Song et al. 2023 (PiGDM).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.denoisers import Denoise
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.sampling import Solver
from jaxdiff.diffusion.schedules import Schedule, level

__all__ = ["regress", "replace"]

# (denoise, schedule, values f[b, ...] or f[...] in model units, anything finite where
# the mask is 0, mask of 0 and 1 or bool, both broadcast against x_t) -> Denoise
Edit = Callable[..., Denoise]


def replace() -> Edit:
    """Equation 2: x0 is `values` where the mask is 1; the noise follows.

    Exact to float precision at the end of any solver that ends on x0; walked there as
    by the forward process with the small variance (a learned one is set to it).
    Biased for the free coordinates, equation 3; `resample` lessens that.
    """
    return Partial(_replace)


def regress(ridge: float | Float[Array, ""] = 0.0) -> Edit:
    """Equations 2 and 5: what is known moves what is free by its covariance.

    For x f[b, d] of few columns: a call costs d derivatives of the network beside it,
    and each row an eigenvalue problem, by which C keeps to what a covariance can be.

    Args:   ridge: no unit; 0 is exact for Gaussian data, more trusts the network's
            covariance less, without end it is `replace`.
    Errors: ValueError for ridge < 0, or for an x_t that is not f[b, d].
    """
    require(ridge >= 0, f"ridge must be at least 0, got {ridge=}")
    return Partial(_regress, ridge)


def resample(solver: Solver, schedule: Schedule, repeats: int) -> Solver:
    """Equation 4: each step t -> s done `repeats` times, from x_s renoised to x_t.

    Args:    schedule: the one of the solver, whose noise is normal.
             repeats: of each step, each as many denoiser calls as the solver makes; 1
             is the solver itself, with other keys.
    Returns: Solver; the memory of one that has any is that of its last repeat.
    Errors:  ValueError for repeats < 1.
    """
    require(repeats >= 1, f"resample must be at least 1, got {repeats}")
    # as a shape: a scan has a length that is known, so that calls can be counted
    counts = jnp.arange(repeats)
    return Solver(solver.init, Partial(_resampled, solver, schedule, counts))


def _replace(denoise, schedule, values, mask):
    del schedule
    return Partial(_replaced, denoise, values, mask)


def _regress(ridge, denoise, schedule, values, mask):
    inner = Partial(_regressed, ridge, denoise, schedule, values, mask)
    return Partial(_replaced, inner, values, mask)


def _replaced(denoise, values, mask, x_t, t, cond):
    den = denoise(x_t, t, cond)
    fixed = _like(x_t, mask) > 0

    def free(a):
        return None if a is None else jnp.where(fixed, jnp.zeros_like(a), a)

    x0 = jnp.where(fixed, _like(x_t, values), den.x0)
    return den._replace(
        x0=x0, var_frac=free(den.var_frac), eps=None, mean_shift=free(den.mean_shift)
    )


def _regressed(ridge, denoise, schedule, values, mask, x_t, t, cond):
    require(x_t.ndim == 2, f"regress is for rows f[b, d], got {x_t.shape}; use replace")

    def run(x):
        den = denoise(x, t, cond)
        return den.x0, den

    x0, slope, den = jax.linearize(run, x_t, has_aux=True)
    eye = jnp.eye(x_t.shape[1], dtype=x_t.dtype)
    slopes = jax.vmap(lambda e: slope(_like(x_t, e)), out_axes=2)(eye)  # (b, i, j)
    alpha, sigma = (expand(f(t), slopes) for f in (schedule.alpha, schedule.sigma))
    # where no signal is left (alpha = 0) x_t says nothing of the covariance either
    safe = jnp.where(alpha > 0, alpha, 1.0)
    cov = jnp.where(alpha > 0, sigma**2 / safe, 0.0) * slopes
    # a network's slopes are those of no density: the nearest covariance to them
    roots, axes = jnp.linalg.eigh(0.5 * (cov + cov.mT))
    cov = (axes * jnp.maximum(roots, 0.0)[:, None, :]) @ axes.mT
    m = _like(x_t, mask)
    r = sigma**2 / (alpha**2 + sigma**2)
    hedge = (ridge + jnp.finfo(x_t.dtype).eps) * jnp.broadcast_to(r, cov.shape)
    among = jnp.where(m[:, :, None] * m[:, None, :] > 0, cov, 0.0)
    among = among + eye[None] * jnp.where(m[:, :, None] > 0, hedge, 1.0)
    gap = m * (_like(x_t, values) - x0)
    shift = cov @ (m[..., None] * jnp.linalg.solve(among, gap[..., None]))
    return den._replace(x0=x0 + shift[..., 0], eps=None)


def _resampled(solver, schedule, counts, denoise, keys, x, t, s, state):
    keep = level(schedule, t)[0] / level(schedule, s)[0]
    fresh = jnp.sqrt(posterior(schedule, t, s).large)

    def once(carry, count):
        own = rng.fold(keys, 2 * count), rng.fold(keys, 2 * count + 1)
        x_s, after = solver.step(denoise, own[0], carry[0], t, s, state)
        z = rng.draw(jax.random.normal, own[1], x.shape[1:])
        return (expand(keep, x) * x_s + expand(fresh, x) * z, x_s, after), None

    # of the last repeat the x_t, renoised once more, is not used
    (_, x_s, after), _ = jax.lax.scan(once, (x, x, state), counts)
    return x_s, after


def _like(x_t, a):
    """`a` of the rank, shape and type of x_t, new axes in front."""
    a = jnp.asarray(a, x_t.dtype)
    return jnp.broadcast_to(a.reshape((1,) * (x_t.ndim - a.ndim) + a.shape), x_t.shape)
