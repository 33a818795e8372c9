"""What the network predicts: one row (a, b) a prediction.

(1)  target = a x0 + b eps                       with x_t = alpha x0 + sigma eps
(2)  [x_t, target] = [[alpha, sigma], [a, b]] [x0, eps],    det = alpha b - sigma a
(3)  x0 = (b x_t - sigma out) / det              the network's output back to x0
(4)  |out - target|^2 = (det / sigma)^2 |x0_hat - x0|^2

    x0        1                 0
    eps       0                 1
    v         -sigma            alpha
    score     0                 -1 / sigma
    velocity  d_alpha           d_sigma
    edm       sigma / (s n)     -s alpha / n     n^2 = sigma^2 + s^2 alpha^2

In the last, s is the data's standard deviation; c_skip and c_out are cleared of the
fractions that are 0/0 at the ends. Each name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.types import Coeffs

__all__ = ["edm", "eps", "score", "v", "velocity", "x0"]

Row = tuple[Float[Array, "*b"], Float[Array, "*b"]]
Prediction = Callable[[Coeffs], Row]

# The least sigma of the score's row: 1 / sigma stays finite at sigma(0) = 0.
SMALLEST_SIGMA = 1e-8


def x0() -> Prediction:
    """The data."""
    return Partial(_x0)


def _x0(c: Coeffs) -> Row:
    return jnp.ones_like(c.t), jnp.zeros_like(c.t)


def eps() -> Prediction:
    """The noise. Source: Ho et al. 2020, arXiv:2006.11239."""
    return Partial(_eps)


def _eps(c: Coeffs) -> Row:
    return jnp.zeros_like(c.t), jnp.ones_like(c.t)


def v() -> Prediction:
    """v = alpha eps - sigma x0.

    Source: Salimans & Ho 2022, arXiv:2202.00512, appendix D.
    """
    return Partial(_v)


def _v(c: Coeffs) -> Row:
    return -c.sigma, c.alpha


def score() -> Prediction:
    """The gradient of log p_t: -eps / sigma.

    Source: Song et al. 2021, arXiv:2011.13456.
    """
    return Partial(_score)


def _score(c: Coeffs) -> Row:
    return jnp.zeros_like(c.t), -1 / jnp.maximum(c.sigma, SMALLEST_SIGMA)


def velocity() -> Prediction:
    """dx_t / dt = alpha' x0 + sigma' eps.

    Source: Lipman et al. 2022, arXiv:2210.02747.
    """
    return Partial(_velocity)


def _velocity(c: Coeffs) -> Row:
    return c.d_alpha, c.d_sigma


def edm(sigma_data: float = 0.5) -> Prediction:
    """F of D = c_skip x + c_out F.

    Args:   sigma_data: standard deviation of the data, in model units.
    Errors: ValueError for sigma_data <= 0.
    Source: Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    require(sigma_data > 0, f"sigma_data must be > 0, got {sigma_data=}")
    return Partial(_edm, sigma_data)


def _edm(sigma_data: float | Array, c: Coeffs) -> Row:
    size = jnp.sqrt(c.sigma**2 + (sigma_data * c.alpha) ** 2)
    return c.sigma / (sigma_data * size), -sigma_data * c.alpha / size


def make_target(row: Row, x0: Array, eps: Array) -> Array:
    """Equation 1; rows f[b], x0 and eps f[b, ...]."""
    a, b = (expand(jnp.asarray(c), x0) for c in row)
    return a * x0 + b * eps


def to_x0(row: Row, c: Coeffs, x_t: Array, out: Array) -> Array:
    """Equation 3; row and c f[b] or f[], x_t and out f[b, ...].

    Where det = 0 the output does not depend on x0: at sigma = 0 the data is
    x_t / alpha, and at alpha = 0 (pure noise) x0 = 0, the centre of the data.
    """
    a, b = row
    det = c.alpha * b - c.sigma * a
    safe = jnp.where(det == 0, 1.0, det)
    signal = jnp.where(c.alpha == 0, 1.0, c.alpha)
    clean = jnp.where(c.sigma == 0, 1 / signal, 0.0)
    of_x_t = jnp.where(det == 0, clean, b / safe)
    of_out = jnp.where(det == 0, 0.0, -c.sigma / safe)
    return expand(of_x_t, x_t) * x_t + expand(of_out, x_t) * out


def native_weight(row: Row, c: Coeffs) -> Float[Array, "*b"]:
    """(det / sigma)^2 of equation 4; inf where sigma = 0 and the row is not x0's."""
    a, b = row
    return jnp.square((c.alpha * b - c.sigma * a) / c.sigma)
