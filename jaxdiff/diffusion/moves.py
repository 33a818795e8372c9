"""What solvers are made of: moves between noise levels, at which nothing is infinite.

A level is (alpha, sigma); here is the time t, there is s < t.

(1)  x_s = alpha_s x0 + sigma_s eps,  eps = (x_t - alpha_t x0) / sigma_t
         = (sigma_s / sigma_t) x_t + (alpha_s - alpha_t sigma_s / sigma_t) x0     `move`
     exact for an x0 that stays as it is. Higher orders put for x0 (or for eps) a mean
     of it over the step, so that (1) is the last line of them all.
(2)  lam = log(alpha / sigma),  h = lam_s - lam_t > 0;   sigma / alpha = e^-lam
(3)  x_s = move to (alpha_s, sigma_s sqrt(1 - share^2)) + sigma_s share z  `sigma_down`
     has the marginal law of (1) for any share in [0, 1] of new noise.
(4)  mean of f over the step, weighted by e^(a tau), tau = (node - node_t) / (node_s -
     node_t) from 0 to 1, f the polynomial through the newest few values: `mean_over`.
     Nodes sigma / alpha, a = 0: Adams-Bashforth; nodes lam, a = +-h: the exponential
     methods, exact for the linear part of the ODE.
"""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, require
from jaxdiff.diffusion.denoisers import Denoise, check_no_mean_shift
from jaxdiff.diffusion.posterior import posterior
from jaxdiff.diffusion.schedules import Schedule

Scalar = Float[Array, ""]
Level = tuple[Scalar, Scalar]

# Gauss-Legendre on [0, 1], for equation 4: exact to float64 for |a| up to 20.
_ROOTS, _WEIGHTS = np.polynomial.legendre.leggauss(20)
TAUS, WEIGHTS = (_ROOTS + 1) / 2, _WEIGHTS / 2


def denoise_at(denoise: Denoise, schedule: Schedule, x: Array, t: Scalar):
    """(x, x0) at t. A denoiser with a noise of its own moves x to where both meet."""
    den = denoise(x, t)
    check_no_mean_shift(den)
    if den.eps is not None:
        x = schedule.alpha(t) * den.x0 + schedule.sigma(t) * den.eps
    return x, den.x0


def move(x: Array, x0: Array, here: Level, there: Level) -> Array:
    """Equation 1; x0 itself at (1, 0)."""
    ratio = there[1] / here[1]
    return ratio * x + (there[0] - ratio * here[0]) * x0


def noise_at(x: Array, x0: Array, here: Level) -> Array:
    """eps of equation 1; there must be noise."""
    return (x - here[0] * x0) / here[1]


def half_log_snr(level: Level) -> Scalar:
    """lam of equation 2, large but finite where there is no noise or no signal."""
    tiny = jnp.finfo(level[0].dtype).tiny
    return jnp.log(jnp.maximum(level[0], tiny)) - jnp.log(jnp.maximum(level[1], tiny))


def time_at(schedule: Schedule, lam: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """The times of lams, within [0, 1]."""
    return jnp.clip(schedule.t_of(2 * lam), 0.0, 1.0)


def sigma_down(there: Level, share: Scalar) -> Level:
    """Where equation 3 moves to before it adds sigma_s share z."""
    return there[0], there[1] * jnp.sqrt((1 - share) * (1 + share))


def ancestral_share(eta: Scalar | float, here: Level, there: Level) -> Scalar:
    """eta sqrt(1 - snr_t / snr_s): of equation 3, at eta = 1 as from the posterior.

    Upwards, where the root would be above 1 (inversion.py), 0.
    """
    root = jnp.minimum(here[0] * there[1] / (there[0] * here[1]), 1.0)
    return eta * jnp.sqrt((1 - root) * (1 + root))


def scaled_noise(keys: Key[Array, "b"], x: Array, std: Scalar) -> Array:
    """std z, each image's from its own key."""
    return std * rng.draw(jax.random.normal, keys, x.shape[1:])


class Churn(NamedTuple):
    """Noise added before each step, from t up to where sigma/alpha is 1 + rate as much.

    rate:      S_churn / (number of steps) of the source, at most sqrt 2 - 1; 0: none
    low, high: only where sigma/alpha is between them (S_min, S_max)
    inflate:   S_noise, what the added noise is multiplied by
    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2. Never above t = 1.
    """

    rate: Scalar | float
    low: Scalar | float
    high: Scalar | float
    inflate: Scalar | float

    @staticmethod
    def checked(rate, low, high, inflate) -> "Churn":
        require(
            (rate >= 0) & (low >= 0) & (inflate >= 0),
            f"churn must not be negative, got churn={rate}, churn_low={low}, "
            f"churn_noise={inflate}",
        )
        return Churn(rate, low, high, inflate)


def churn_up(
    churn: Churn, schedule: Schedule, keys: Key[Array, "b"], x: Array, t: Scalar
):
    """(x, t) after churning."""
    ratio = jnp.exp(-half_log_snr((schedule.alpha(t), schedule.sigma(t))))
    rate = jnp.minimum(churn.rate, np.sqrt(2) - 1)
    up = jnp.maximum(time_at(schedule, -jnp.log(ratio * (1 + rate))), t)
    on = (rate > 0) & (ratio >= churn.low) & (ratio <= churn.high) & (up > t)

    def climb(x):
        keep = schedule.alpha(up) / schedule.alpha(t)
        std = jnp.sqrt(posterior(schedule, up, t).large)
        return keep * x + scaled_noise(keys, x, churn.inflate * std)

    return jax.lax.cond(on, climb, lambda x: x, x), jnp.where(on, up, t)


class Past(NamedTuple):
    """What a multistep method remembers, newest first.

    values: f[k, b, ...], x0 or eps.  nodes: f[k], where.  count: how many are there
    """

    values: Array
    nodes: Array
    count: Array


def no_past(x: Array, length: int) -> Past:
    return Past(
        jnp.zeros((length, *x.shape), x.dtype),
        jnp.zeros(length, x.dtype),
        jnp.zeros((), jnp.int32),
    )


def remember(past: Past, value: Array, node: Scalar) -> Past:
    """With a newer value; the oldest is forgotten."""
    return Past(
        jnp.concatenate([value[None], past.values[:-1]]),
        jnp.concatenate([node[None], past.nodes[:-1]]),
        jnp.minimum(past.count + 1, len(past.nodes)),
    )


def mean_over(past: Past, to: Scalar, a: Scalar | float, new: Array | None = None):
    """Equation 4, by Newton's divided differences.

    past: its newest value is here; as many points are used as it counts.
    to: the node there.  new: the value there, for a corrector.
    """
    index = jnp.arange(len(past.nodes))
    tau = (past.nodes - past.nodes[0]) / (to - past.nodes[0])
    # what is not there yet stands where nothing is, so that nothing divides by 0
    taus = [*jnp.where(index < past.count, tau, -1e3 * index)]
    values, points = [*past.values], past.count
    if new is not None:
        taus, values = (
            [taus[0], jnp.ones_like(to), *taus[1:]],
            [values[0], new, *values[1:]],
        )
        points = points + 1
    # by type, or JAX keeps the one constant for both precisions
    inside, weights = (c.astype(past.nodes.dtype) for c in (TAUS, WEIGHTS))
    weights = weights * jnp.exp(a * inside - jnp.maximum(a, 0.0))
    basis, total = weights / weights.sum(), values[0]
    for i in range(1, len(values)):
        pairs = pairwise(values)
        values = [(w - v) / (taus[j + i] - taus[j]) for j, (v, w) in enumerate(pairs)]
        basis = basis * (inside - taus[i - 1])
        total = total + jnp.where(i < points, basis.sum() * values[0], 0.0)
    return total
