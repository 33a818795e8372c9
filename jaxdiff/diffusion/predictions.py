"""What the network predicts: each target is one row (a, b).

(1)  target = a x0 + b eps                    where x_t = alpha x0 + sigma eps
(2)  [x_t, target] = [[alpha, sigma], [a, b]] [x0, eps],    det = alpha b - sigma a
(3)  x0 = (b x_t - sigma out) / det           from the network's output to x0
(4)  |out - target|^2 = (det / sigma)^2 |x0_hat - x0|^2

    name      a                 b
    x0        1                 0
    eps       0                 1
    v         -sigma            alpha
    score     0                 -1 / sigma
    velocity  d_alpha           d_sigma
    edm       sigma / (s n)     -s alpha / n     n^2 = sigma^2 + s^2 alpha^2

In the edm row s is the standard deviation of the data. The row is c_skip and c_out of
the paper, rewritten without the fractions that become 0/0 at the ends of the schedule.
Each name in `__all__` can be chosen by a config.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.types import Coeffs

__all__ = ["edm", "eps", "score", "v", "velocity", "x0"]

Row = tuple[Float[Array, "*b"], Float[Array, "*b"]]
Prediction = Callable[[Coeffs], Row]

# The score's row uses at least this sigma, so that 1 / sigma is finite at sigma = 0.
SMALLEST_SIGMA = 1e-8


def x0() -> Prediction:
    """The network predicts the data: target = x0.

    Returns: Prediction, Coeffs -> the row (1, 0).
    """
    return Partial(_x0)


def _x0(c: Coeffs) -> Row:
    return jnp.ones_like(c.t), jnp.zeros_like(c.t)


def eps() -> Prediction:
    """The network predicts the noise: target = eps.

    Returns: Prediction, Coeffs -> the row (0, 1).
    Source:  Ho et al. 2020, arXiv:2006.11239.
    """
    return Partial(_eps)


def _eps(c: Coeffs) -> Row:
    return jnp.zeros_like(c.t), jnp.ones_like(c.t)


def v() -> Prediction:
    """The network predicts v = alpha eps - sigma x0.

    Returns: Prediction, Coeffs -> the row (-sigma, alpha).
    Source:  Salimans & Ho 2022, arXiv:2202.00512, appendix D.
    """
    return Partial(_v)


def _v(c: Coeffs) -> Row:
    return -c.sigma, c.alpha


def score() -> Prediction:
    """The network predicts the score, grad log p(x_t): target = -eps / sigma.

    Returns: Prediction, Coeffs -> the row (0, -1 / sigma); sigma is at least
             SMALLEST_SIGMA here.
    Source:  Song et al. 2021, arXiv:2011.13456.
    """
    return Partial(_score)


def _score(c: Coeffs) -> Row:
    return jnp.zeros_like(c.t), -1 / jnp.maximum(c.sigma, SMALLEST_SIGMA)


def velocity() -> Prediction:
    """The network predicts the velocity dx_t / dt = alpha' x0 + sigma' eps.

    Returns: Prediction, Coeffs -> the row (d_alpha, d_sigma).
    Source:  Lipman et al. 2022, arXiv:2210.02747.
    """
    return Partial(_velocity)


def _velocity(c: Coeffs) -> Row:
    return c.d_alpha, c.d_sigma


def edm(sigma_data: float = 0.5) -> Prediction:
    """The network predicts F of the EDM denoiser D = c_skip x_t + c_out F.

    Args:    sigma_data: standard deviation of the data, in model units.
    Returns: Prediction, Coeffs -> the last row of the table above.
    Errors:  ValueError if sigma_data <= 0.
    Source:  Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    require(sigma_data > 0, f"sigma_data must be > 0, got {sigma_data=}")
    return Partial(_edm, sigma_data)


def _edm(sigma_data: float | Array, c: Coeffs) -> Row:
    size = jnp.sqrt(c.sigma**2 + (sigma_data * c.alpha) ** 2)
    return c.sigma / (sigma_data * size), -sigma_data * c.alpha / size


def make_target(row: Row, x0: Array, eps: Array) -> Array:
    """The training target a x0 + b eps, equation 1.

    Args:    row: (a, b), f[b] each.  x0, eps: f[b, ...].
    Returns: f[b, ...].
    """
    a, b = (expand(jnp.asarray(c), x0) for c in row)
    return a * x0 + b * eps


def to_x0(row: Row, c: Coeffs, x_t: Array, out: Array) -> Array:
    """The estimate of x0 in a network's output, equation 3.

    Where det = 0 the output does not determine x0. At sigma = 0, x0 is then x_t /
    alpha; at alpha = 0 (pure noise) it is 0, the centre of the data.

    Args:    row: (a, b), f[] or f[b] each.  c: Coeffs of the same shape.
             x_t, out: f[b, ...].
    Returns: x0_hat, f[b, ...], finite at both ends of the schedule.
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
    """The weight (det / sigma)^2 of the x0-error in the plain loss, equation 4.

    Args:    row: (a, b), f[] or f[b] each.  c: Coeffs of the same shape.
    Returns: f[] or f[b]; infinite at sigma = 0 for every row except that of x0.
    """
    a, b = row
    return jnp.square((c.alpha * b - c.sigma * a) / c.sigma)
