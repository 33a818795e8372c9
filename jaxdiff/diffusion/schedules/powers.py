"""Schedules that are powers of t, exact at their ends: rectified flow and EDM."""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, require
from jaxdiff.diffusion.schedules.pairs import from_alpha_sigma
from jaxdiff.diffusion.types import Schedule


def linear_mix() -> Schedule:
    """alpha = 1 - t, sigma = t, the straight path of rectified flow.

    Source: Liu et al. 2022, arXiv:2209.03003; Lipman et al. 2022, arXiv:2210.02747.
    """
    return from_alpha_sigma(Partial(_mix_alpha), Partial(jnp.asarray), Partial(_mix_t))


def _mix_alpha(t: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return 1 - t


def _mix_t(log_snr: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return jax.nn.sigmoid(-0.5 * log_snr)


def edm(sigma_max: float = 80.0, rho: float = 7.0) -> Schedule:
    """alpha = 1, sigma = sigma_max t^rho; equal steps in t are Karras steps in sigma.

    Args:    sigma_max: sigma(1), in model units.  rho: no unit.
    Errors:  ValueError unless sigma_max > 0 and rho > 0.
    Source:  Karras et al. 2022, arXiv:2206.00364, eq. 5 with sigma_min = 0.
    """
    positive = (sigma_max > 0) & (rho > 0)
    require(positive, f"need sigma_max > 0 and rho > 0, got {sigma_max=}, {rho=}")
    return from_alpha_sigma(
        Partial(jnp.ones_like),
        Partial(_power, sigma_max, rho),
        Partial(_power_t, sigma_max, rho),
    )


def _power(
    scale: float | Array, rho: float | Array, t: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return scale * t**rho


def _power_t(
    scale: float | Array, rho: float | Array, log_snr: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    return (jnp.exp(-0.5 * log_snr) / scale) ** (1 / rho)
