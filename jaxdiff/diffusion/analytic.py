"""Data whose law is known in closed form, and with it the denoiser and the flow.

Each column of x0, independently of the others, is a mixture of k normals:

(1)  p(x0) = sum_i w_i N(m_i, s_i^2)
(2)  p(x_t) = sum_i w_i N(alpha m_i, v_i),   v_i = alpha^2 s_i^2 + sigma^2    `marginal`
(3)  E[x0 | x_t] = sum_i r_i (m_i + alpha s_i^2 / v_i (x_t - alpha m_i))
     r_i in proportion to w_i N(x_t; alpha m_i, v_i), sum_i r_i = 1     `posterior_mean`
(4)  F_s(x_s) = F_t(x_t),  F the distribution function of (2): in one dimension the
     probability-flow ODE keeps each point's quantile                        `transport`

(3) is traced by JAX; the rest is numpy in double precision.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from scipy import optimize
from scipy.special import ndtr

from jaxdiff.arrays import Array, Float, PyTree, expand
from jaxdiff.diffusion.types import Denoise, Denoised, Schedule, Times


class Mixture(NamedTuple):
    """Equation 1; every field f64[k, d], k normals in each of d columns.

    weights: no unit, > 0, of sum 1 in each column
    means, stds: in the units of the data, stds > 0
    """

    weights: np.ndarray | Array
    means: np.ndarray | Array
    stds: np.ndarray | Array


def make_denoise(law: Mixture, schedule: Schedule) -> Denoise:
    """The exact denoiser of data of that law: equation 3, of x_t f[b, ..., d]."""
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
    """Equation 3. alpha and sigma multiply x_t: f[] or f[b, 1, ..., 1]."""
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
    """Equation 2: the law of x_t at one time."""
    alpha, sigma = (float(f(jnp.asarray(t))) for f in (schedule.alpha, schedule.sigma))
    weights, means, stds = map(np.asarray, law)
    return Mixture(weights, alpha * means, np.hypot(alpha * stds, sigma))


def moments(law: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each column, f64[d] both."""
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
    """Equation 4: where the exact flow takes x from t to s, f64[..., d].

    Errors: ValueError from scipy for an x so far out that its quantile is 0 or 1.
    """
    here, there = (marginal(law, schedule, time) for time in (t, s))
    columns = [
        [_invert(there, j, _cdf(here, j, value)) for value in x[..., j].ravel()]
        for j in range(x.shape[-1])
    ]
    return np.array(columns).T.reshape(x.shape)


def _cdf(law: Mixture, column: int, x: float) -> float:
    weights, means, stds = (np.asarray(a)[:, column] for a in law)
    return float((weights * ndtr((x - means) / stds)).sum())


def _invert(law: Mixture, column: int, level: float) -> float:
    """The quantile of a level in (0, 1)."""
    reach = np.max(np.abs(law.means[:, column]) + 40 * law.stds[:, column])
    return optimize.root_scalar(
        lambda x: _cdf(law, column, x) - level,
        bracket=(-reach, reach),
        method="brentq",
        xtol=1e-14,
        rtol=1e-14,
    ).root
