"""Moves between noise levels, from which all solvers are made. They are always finite.

A level is (alpha, sigma); `here` is the level of t, and `there` that of s < t.

(1)  x_s = alpha_s x0 + sigma_s eps,  eps = (x_t - alpha_t x0) / sigma_t
         = (sigma_s / sigma_t) x_t + (alpha_s - alpha_t sigma_s / sigma_t) x0     `move`
     This is exact if x0 is constant. Methods of higher order put in a mean of x0 (or of
     eps) over the step, so every solver ends with (1).
(2)  lam = log(alpha / sigma),  h = lam_s - lam_t > 0;   sigma / alpha = e^-lam
(3)  x_s = move to (alpha_s, sigma_s sqrt(1 - share^2)) + sigma_s share z   `sigma_down`
     has the marginal distribution of (1) for any share of new noise in [0, 1].
(4)  The mean of f over the step, weighted by e^(a tau), where f is the polynomial
     through the newest values                                               `mean_over`
         tau = (node - node_t) / (node_s - node_t), from 0 to 1
     Nodes sigma / alpha with a = 0 give Adams-Bashforth. Nodes lam with a = +-h give
     the exponential methods, which are exact for the linear part of the ODE.

Times, levels and nodes are f[] or f[b, 1, ..., 1], so that they multiply x f[b, ...]
directly. Cases that differ between examples are selected by `jnp.where`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Bool, Float, Int, PyTree, expand, require
from jaxdiff.diffusion.denoisers import check_no_mean_shift
from jaxdiff.diffusion.levels import Level, half_log_snr
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.types import BoundDenoise, Schedule, SolverInit, StepNoise

# f[] or f[b, 1, ..., 1]
Scalar = Float[Array, "..."]
# (a, b) -> a for the examples that are on, b for the others
Where = Callable[[PyTree, PyTree], PyTree]

# Gauss-Legendre on [0, 1], for equation 4: exact to float64 for |a| up to 20.
_ROOTS, _WEIGHTS = np.polynomial.legendre.leggauss(20)
TAUS, WEIGHTS = (_ROOTS + 1) / 2, _WEIGHTS / 2


def denoise_at(
    denoise: BoundDenoise, schedule: Schedule, x: Array, t: Scalar
) -> tuple[Array, Array]:
    """x and x0 at t. If the denoiser gives an eps, x becomes alpha x0 + sigma eps."""
    den = denoise(x, t)
    check_no_mean_shift(den)
    if den.eps is not None:
        x = schedule.alpha(t) * den.x0 + schedule.sigma(t) * den.eps
    return x, den.x0


def where_any(
    on: Bool[Array, "..."], new: Callable[[Where], PyTree], old: PyTree
) -> PyTree:
    """`new` for the examples where `on` is true, and `old` for the others.

    `new` is computed only if `on` is true anywhere; with one time for all examples this
    is a branch.

    Args:    on: bool[] or bool[b, 1, ..., 1].
             new: (where) -> the new tree. where(a, b) is a for the examples that are on
             and b for the others; `new` uses it to keep unused results finite.
             old: a tree whose leaves end in the axes of x.
    Returns: a tree like `old`.
    """

    def where(a: PyTree, b: PyTree) -> PyTree:
        return jax.tree.map(lambda a, b: jnp.where(_behind(on, b), a, b), a, b)

    if on.ndim:
        return jax.lax.cond(jnp.any(on), lambda: where(new(where), old), lambda: old)
    return jax.lax.cond(on, lambda: new(lambda a, b: a), lambda: old)


def _behind(on: Bool[Array, "..."], leaf: Array) -> Bool[Array, "..."]:
    """`on` with new axes in front, up to the rank of the leaf; bool[] as it is."""
    return on.reshape((1,) * (leaf.ndim - on.ndim) + on.shape) if on.ndim else on


def move(x: Array, x0: Array, here: Level, there: Level) -> Array:
    """x_s of equation 1; at the level (1, 0) it is x0."""
    ratio = there[1] / here[1]
    return ratio * x + (there[0] - ratio * here[0]) * x0


def noise_at(x: Array, x0: Array, here: Level) -> Array:
    """eps of equation 1. sigma must be positive."""
    return (x - here[0] * x0) / here[1]


def root(square: Array) -> Array:
    """The square root, with the derivative 0 at 0, where the true one is infinite: with
    it, a factor of 0 gives NaN."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


def sigma_down(there: Level, share: Scalar) -> Level:
    """The level that equation 3 moves to before it adds sigma_s share z."""
    return there[0], there[1] * root((1 - share) * (1 + share))


def ancestral_share(eta: Scalar | float, here: Level, there: Level) -> Scalar:
    """eta sqrt(1 - snr_t / snr_s), the share of equation 3; eta = 1 is the posterior's.

    Upwards (inversion.py), where snr_t > snr_s, the share is 0.
    """
    ratio = jnp.minimum(here[0] * there[1] / (there[0] * here[1]), 1.0)
    return eta * root((1 - ratio) * (1 + ratio))


class Churn(NamedTuple):
    """Noise added before each step: it raises sigma / alpha by the factor 1 + rate.

    rate:      S_churn / (number of steps) of the paper, cut to sqrt(2) - 1; 0 is none
    low, high: churn only where sigma / alpha is between these (S_min, S_max)
    inflate:   factor of the added noise (S_noise)

    Where x_t keeps the whole signal (alpha(1) = 1, as in `edm`) the time rises above 1,
    to where sigma / alpha is, as in the paper. Other schedules end at t = 1, and with
    them the churn.
    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2.
    """

    rate: Scalar | float
    low: Scalar | float
    high: Scalar | float
    inflate: Scalar | float


def make_churn(
    churn: Scalar | float,
    churn_low: Scalar | float,
    churn_high: Scalar | float,
    churn_noise: Scalar | float,
) -> Churn:
    """A Churn from a solver's fields.

    Errors: ValueError if a field other than churn_high is negative.
    """
    require(
        (churn >= 0) & (churn_low >= 0) & (churn_noise >= 0),
        f"churn must not be negative, got {churn=}, {churn_low=}, {churn_noise=}",
    )
    return Churn(churn, churn_low, churn_high, churn_noise)


def churn_up(
    churn: Churn, schedule: Schedule, noise: StepNoise, x: Array, t: Scalar
) -> tuple[Array, Scalar]:
    """x and t after the churn."""
    ratio = jnp.exp(-half_log_snr((schedule.alpha(t), schedule.sigma(t))))
    rate = jnp.minimum(churn.rate, np.sqrt(2) - 1)
    beyond = schedule.t_of(-2 * jnp.log(ratio * (1 + rate)))
    endless = schedule.alpha(jnp.ones_like(t)) == 1
    up = jnp.where(endless, beyond, jnp.clip(beyond, t, 1.0))
    on = (rate > 0) & (ratio >= churn.low) & (ratio <= churn.high) & (up > t)

    def climb(where: Where) -> Array:
        del where
        keep = schedule.alpha(up) / schedule.alpha(t)
        std = jnp.sqrt(posterior(schedule, up, t).large)
        return keep * x + churn.inflate * std * noise()

    return where_any(on, climb, x), jnp.where(on, up, t)


class Past(NamedTuple):
    """The memory of a multistep method, newest value first.

    values: f[k, b, ...], x0 or eps
    nodes:  f[k, b, 1, ..., 1], where each value was taken
    count:  i32[b, 1, ..., 1], how many values there are so far
    """

    values: Array
    nodes: Array
    count: Int[Array, "..."]


def make_memory(length: int) -> SolverInit:
    """A SolverInit, x -> an empty Past with room for `length` values."""
    # the length is kept as a shape, because a Partial's numbers are traced
    return Partial(_no_past, jnp.arange(length))


def _no_past(slots: Int[Array, "k"], x: Float[Array, "b ..."]) -> Past:
    one = expand(jnp.zeros(len(x), x.dtype), x)
    return Past(
        jnp.zeros((len(slots), *x.shape), x.dtype),
        jnp.zeros((len(slots), *one.shape), x.dtype),
        jnp.zeros(one.shape, jnp.int32),
    )


def remember(past: Past, value: Array, node: Scalar) -> Past:
    """Add a value in front; the oldest is dropped."""
    node = jnp.broadcast_to(node, past.count.shape)
    return Past(
        jnp.concatenate([value[None], past.values[:-1]]),
        jnp.concatenate([node[None], past.nodes[:-1]]),
        jnp.minimum(past.count + 1, len(past.nodes)),
    )


def mean_over(
    past: Past, to: Scalar, a: Scalar | float, new: Array | None = None
) -> Array:
    """The mean of equation 4, by Newton's divided differences.

    Args:    past: its newest value is at `here`; as many points are used as it counts.
             to: the node at `there`.  a: the exponent of the weight.
             new: the value at `there`, for a corrector, or None.
    Returns: f[b, ...].
    """
    index = expand(jnp.arange(len(past.nodes), dtype=past.nodes.dtype), past.nodes)
    tau = (past.nodes - past.nodes[:1]) / (to - past.nodes[0])[None]
    # empty slots get distinct nodes, so that no difference of nodes is 0
    taus = [*jnp.where(index < past.count[None], tau, -1e3 * index)]
    values, points = [*past.values], past.count
    if new is not None:
        taus = [taus[0], jnp.ones_like(taus[0]), *taus[1:]]
        values, points = [values[0], new, *values[1:]], points + 1
    # cast for each type, or JAX would keep one constant for both precisions
    inside, weights = (
        c.astype(past.nodes.dtype).reshape(-1, *past.count.ndim * [1])
        for c in (TAUS, WEIGHTS)
    )
    a = jnp.broadcast_to(a, past.count.shape)[None]
    weights = weights * jnp.exp(a * inside - jnp.maximum(a, 0.0))
    basis, total = weights / weights.sum(0)[None], values[0]
    for i in range(1, len(values)):
        pairs = pairwise(values)
        values = [(w - v) / (taus[j + i] - taus[j]) for j, (v, w) in enumerate(pairs)]
        basis = basis * (inside - taus[i - 1][None])
        total = total + jnp.where(i < points, basis.sum(0) * values[0], 0.0)
    return total
