"""Data whose distribution is known, so that denoiser and flow have closed forms.

Each column of x0 is a mixture of k normal distributions, independent of the others:

(1)  p(x0) = sum_i w_i N(m_i, s_i^2)
(2)  p(x_t) = sum_i w_i N(alpha m_i, v_i),   v_i = alpha^2 s_i^2 + sigma^2    `marginal`
(3)  E[x0 | x_t] = sum_i r_i (m_i + alpha s_i^2 / v_i (x_t - alpha m_i))
     r_i proportional to w_i N(x_t; alpha m_i, v_i), sum_i r_i = 1     `posterior_mean`
(4)  F_s(x_s) = F_t(x_t),  F the distribution function of (2). In one dimension the
     probability-flow ODE keeps every point at its quantile.                 `transport`

(3) can be traced by JAX; the rest is numpy in double precision.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand
from jaxdiff.diffusion.types import Denoise, Denoised, Schedule, Times


class Mixture(NamedTuple):
    """The mixture of equation 1: k normal distributions in each of d columns.

    weights:     f64[k, d], no unit, positive, with sum 1 in each column
    means, stds: f64[k, d], in the units of the data; stds are positive
    """

    weights: np.ndarray | Array
    means: np.ndarray | Array
    stds: np.ndarray | Array


def make_denoise(law: Mixture, schedule: Schedule) -> Denoise:
    """The exact denoiser for data distributed as `law`, equation 3.

    Args:    law: the distribution of the data.  schedule: any.
    Returns: Denoise for x_t f[b, ..., d]; it ignores the condition.
    """
    return Partial(_denoise, law, schedule)


def _denoise(
    law: Mixture,
    schedule: Schedule,
    x_t: Float[Array, "b ... d"],
    t: Times,
    cond: PyTree,
) -> Denoised:
    del cond
    alpha, sigma = (expand(f(t), x_t) for f in (schedule.alpha, schedule.sigma))
    return Denoised(posterior_mean(law, x_t, alpha, sigma))


def posterior_mean(
    law: Mixture,
    x_t: Float[Array, "... d"],
    alpha: Float[Array, "..."],
    sigma: Float[Array, "..."],
) -> Float[Array, "... d"]:
    """E[x0 | x_t], equation 3.

    Args:    law: the distribution of the data.  x_t: f[..., d].
             alpha, sigma: of the time of x_t, f[] or f[b, 1, ..., 1].
    Returns: f[..., d].
    """
    logits, means = [], []
    for parts in zip(*law, strict=True):
        shape = (1,) * (x_t.ndim - 1) + (-1,)
        w, m, s = (jnp.asarray(a, x_t.dtype).reshape(shape) for a in parts)
        v = (alpha * s) ** 2 + sigma**2
        gap = x_t - alpha * m
        logits.append(jnp.log(w) - 0.5 * (jnp.log(v) + gap**2 / v))
        means.append(m + alpha * s**2 / v * gap)
    shares = jax.nn.softmax(jnp.stack(logits), axis=0)
    return (shares * jnp.stack(means)).sum(axis=0)


def marginal(law: Mixture, schedule: Schedule, t: float) -> Mixture:
    """The distribution of x_t at one time, equation 2."""
    alpha, sigma = (float(f(jnp.asarray(t))) for f in (schedule.alpha, schedule.sigma))
    weights, means, stds = map(np.asarray, law)
    return Mixture(weights, alpha * means, np.hypot(alpha * stds, sigma))


def moments(law: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each column, f64[d] each."""
    weights, means, stds = map(np.asarray, law)
    mean = (weights * means).sum(axis=0)
    return mean, (weights * (stds**2 + (means - mean) ** 2)).sum(axis=0)


def transport(
    law: Mixture,
    schedule: Schedule,
    x: Float[np.ndarray, "... d"],
    t: float,
    s: float,
) -> Float[np.ndarray, "... d"]:
    """The point x_s that the exact flow reaches from x_t, equation 4.

    Args:    law: the distribution of the data.  x: x_t, f64[..., d].  t, s: times.
    Returns: x_s, f64[..., d].
    Errors:  ValueError from scipy if x is so far out that its quantile is 0 or 1.
    """
    here, there = (marginal(law, schedule, time) for time in (t, s))
    columns = [
        [_invert(there, j, _cdf(here, j, value)) for value in x[..., j].ravel()]
        for j in range(x.shape[-1])
    ]
    return np.array(columns).T.reshape(x.shape)


def _cdf(law: Mixture, column: int, x: float) -> float:
    weights, means, stds = (np.asarray(a)[:, column] for a in law)
    return float((weights * scipy.special.ndtr((x - means) / stds)).sum())


def _invert(law: Mixture, column: int, level: float) -> float:
    """The quantile of a probability `level` in (0, 1)."""
    reach = np.max(np.abs(law.means[:, column]) + 40 * law.stds[:, column])
    return scipy.optimize.root_scalar(
        lambda x: _cdf(law, column, x) - level,
        bracket=(-reach, reach),
        method="brentq",
        xtol=1e-14,
        rtol=1e-14,
    ).root
