"""Clusters of points with classes: data whose denoiser and classifier are exact.

What guidance does can be computed for them, see `launch.bench guidance`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.diffusion.types import Denoise, Denoised, Schedule, Times


class Clusters(NamedTuple):
    """Classes of points around k centres: x0 given its cluster i is N(m_i, s_i^2 I).

    weights: f[k], no unit, with sum 1.  means: f[k, d].  stds: f[k], positive
    classes: bool[y, k], which clusters a class has
    """

    weights: np.ndarray | Array
    means: np.ndarray | Array
    stds: np.ndarray | Array
    classes: np.ndarray | Array


def make_class_denoise(law: Clusters, schedule: Schedule) -> Denoise:
    """The exact denoiser of clusters, given their class.

    x0 = sum_i r_i (m_i + alpha s_i^2 / v_i (x_t - alpha m_i))

    Here v_i = alpha^2 s_i^2 + sigma^2, and r_i is the share of cluster i, among those
    of the class, at x_t.

    Args:    law: the distribution of the data.  schedule: any.
    Returns: Denoise for x_t f[b, d]; its condition is i32[b], a class, or any negative
             number for all of them.
    """
    return Partial(_class_denoise, law, schedule)


def _class_denoise(
    law: Clusters,
    schedule: Schedule,
    x_t: Float[Array, "b d"],
    t: Times,
    cond: Int[Array, "b"],
) -> Denoised:
    alpha, sigma = _levels(schedule, x_t, t)
    return Denoised(jax.vmap(partial(_posterior_mean, law))(x_t, alpha, sigma, cond))


def _posterior_mean(
    law: Clusters,
    x: Float[Array, "d"],
    alpha: Float[Array, ""],
    sigma: Float[Array, ""],
    y: Int[Array, ""],
) -> Float[Array, "d"]:
    logs, gaps, v = _logs(law, x, alpha, sigma)
    fits = (y < 0) | jnp.asarray(law.classes)[y]
    shares = jax.nn.softmax(jnp.where(fits, logs, -jnp.inf))
    gain = alpha * jnp.square(jnp.asarray(law.stds, x.dtype)) / v
    return shares @ (jnp.asarray(law.means, x.dtype) + gain[:, None] * gaps)


def make_class_logits(law: Clusters, schedule: Schedule) -> Partial:
    """The exact classifier: (x_t f[b, d], t) -> log p(y, x_t), f[b, y].

    The logits lack a number that does not depend on the class.
    """
    return Partial(_class_logits, law, schedule)


def _class_logits(
    law: Clusters, schedule: Schedule, x_t: Float[Array, "b d"], t: Times
) -> Float[Array, "b y"]:
    alpha, sigma = _levels(schedule, x_t, t)
    logs = jax.vmap(partial(_logs, law))(x_t, alpha, sigma)[0]  # (b, k)
    of = jnp.where(jnp.asarray(law.classes)[None], logs[:, None], -jnp.inf)  # (b, y, k)
    return jax.nn.logsumexp(of, axis=-1)


def _levels(
    schedule: Schedule, x_t: Float[Array, "b d"], t: Times
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """alpha and sigma, f[b] each."""
    t = jnp.broadcast_to(t, x_t.shape[:1])
    return schedule.alpha(t), schedule.sigma(t)


def _logs(
    law: Clusters,
    x: Float[Array, "d"],
    alpha: Float[Array, ""],
    sigma: Float[Array, ""],
) -> tuple[Float[Array, "k"], Float[Array, "k d"], Float[Array, "k"]]:
    """Of x f[d]: log p(i, x_t) but for a common number, x - alpha m_i, and v_i."""
    w, m, s = (jnp.asarray(a, x.dtype) for a in law[:3])
    v, gaps = jnp.square(alpha * s) + jnp.square(sigma), x[None] - alpha * m
    far = jnp.square(gaps).sum(axis=-1) / v
    return jnp.log(w) - 0.5 * (len(x) * jnp.log(v) + far), gaps, v
