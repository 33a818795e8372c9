"""How much the error of x0 counts at each noise level.

(1)  loss = weight(c) |x0_hat - x0|^2
(2)       = weight(c) / native(c) |out - target|^2       predictions.py, eq. 4

The loss is computed by the second line. For `native`, the plain error of the network's
output, the factor is 1 and nothing is divided. Each name in `__all__` can be chosen by
a config.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.predictions import Row
from jaxdiff.diffusion.types import Coeffs

__all__ = ["edm", "elbo", "eps", "min_snr", "native", "sigmoid", "x0"]

Weight = Callable[[Coeffs], Float[Array, "*b"]] | None


def native() -> Weight:
    """The plain error of the network's output, |out - target|^2, without a weight.

    Returns: None, which `target_factor` reads as a factor of 1.
    """
    return None


def x0() -> Weight:
    """weight = 1, the plain error of x0.

    Returns: Weight, Coeffs of f[b] -> f[b].
    """
    return Partial(_x0)


def _x0(c: Coeffs) -> Float[Array, "*b"]:
    return jnp.ones_like(c.t)


def eps() -> Weight:
    """weight = snr, the plain error of eps (L_simple), whatever the network predicts.

    Returns: Weight, Coeffs of f[b] -> f[b].
    Source:  Ho et al. 2020, arXiv:2006.11239, eq. 14.
    """
    return Partial(_min_snr, float("inf"))


def elbo() -> Weight:
    """weight = -snr log_snr' / 2, the continuous-time variational bound in nats.

    Returns: Weight, Coeffs of f[b] -> f[b].
    Source:  Kingma et al. 2021 (VDM), arXiv:2107.00630, eq. 17.
    """
    return Partial(_elbo)


def _elbo(c: Coeffs) -> Float[Array, "*b"]:
    # -snr log_snr' / 2 = snr (sigma' / sigma - alpha' / alpha), not dividing by alpha
    snr, root = jnp.exp(c.log_snr), jnp.exp(0.5 * c.log_snr)
    return snr * c.d_sigma / c.sigma - root * c.d_alpha / c.sigma


def min_snr(gamma: float = 5.0) -> Weight:
    """weight = min(snr, gamma).

    Args:    gamma: the largest weight, no unit.
    Returns: Weight, Coeffs of f[b] -> f[b].
    Errors:  ValueError if gamma <= 0.
    Source:  Hang et al. 2023, arXiv:2303.09556, eq. 6.
    """
    require(gamma > 0, f"gamma must be > 0, got {gamma=}")
    return Partial(_min_snr, gamma)


def _min_snr(gamma: float | Array, c: Coeffs) -> Float[Array, "*b"]:
    return jnp.minimum(jnp.exp(c.log_snr), gamma)


def sigmoid(bias: float = 2.0) -> Weight:
    """weight = snr sigmoid(bias - log_snr), a sigmoid times the error of eps.

    Args:    bias: the log-SNR at which the sigmoid is 1/2.
    Returns: Weight, Coeffs of f[b] -> f[b].
    Source:  Kingma & Gao 2023, arXiv:2303.00848; Hoogeboom et al., arXiv:2410.19324.
    """
    return Partial(_sigmoid, bias)


def _sigmoid(bias: float | Array, c: Coeffs) -> Float[Array, "*b"]:
    return jnp.exp(c.log_snr) * jax.nn.sigmoid(bias - c.log_snr)


def edm(sigma_data: float = 0.5) -> Weight:
    """weight = snr + 1 / sigma_data^2, EDM's weight.

    Args:    sigma_data: standard deviation of the data, in model units.
    Returns: Weight, Coeffs of f[b] -> f[b].
    Errors:  ValueError if sigma_data <= 0.
    Source:  Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    require(sigma_data > 0, f"sigma_data must be > 0, got {sigma_data=}")
    return Partial(_edm, sigma_data)


def _edm(sigma_data: float | Array, c: Coeffs) -> Float[Array, "*b"]:
    return jnp.exp(c.log_snr) + 1 / sigma_data**2


def target_factor(weight: Weight, row: Row, c: Coeffs) -> Float[Array, "*b"]:
    """The factor of |out - target|^2 in the loss: weight / native of equation 2.

    The factor is 0 where the output does not determine x0 (det = 0 or sigma = 0), since
    x0 has no error there.

    Args:    weight: a Weight, or None for a factor of 1.
             row: the prediction's (a, b), f[b] each.  c: Coeffs of f[b].
    Returns: f[b].
    """
    a, b = row
    if weight is None:
        return jnp.ones_like(c.t)
    det = c.alpha * b - c.sigma * a
    depends = (det != 0) & (c.sigma != 0)
    inverse = c.sigma / jnp.where(depends, det, 1.0)
    return jnp.where(depends, weight(c) * jnp.square(inverse), 0.0)
