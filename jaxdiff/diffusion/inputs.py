"""The inputs of a network: one number for the time, and x_t, which may be scaled.

Networks do not depend on diffusion: they take f32[b, ...], one number per example and a
condition. Each name in `__all__` is a time feature that a config can choose.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion.conditions import Beside
from jaxdiff.diffusion.types import Coeffs

__all__ = ["index", "log_snr", "log_std", "time", "variance"]

Number = float | Float[Array, ""]
Feature = Callable[[Coeffs], Float[Array, "*b"]]


def index(num_steps: int = 1000, scale: float = 1.0) -> Feature:
    """scale (t T - 1): the step 0 ... T - 1 of a table, the input of DDPM's networks.

    Args:    num_steps: T.  scale: no unit.
    Returns: Feature, Coeffs of f[b] -> f[b].
    Errors:  ValueError if num_steps < 1.
    """
    require(num_steps >= 1, f"num_steps must be at least 1, got {num_steps=}")
    return Partial(_index, float(num_steps), scale)


def _index(num_steps: Number, scale: Number, c: Coeffs) -> Float[Array, "*b"]:
    return scale * (c.t * num_steps - 1)


def time(scale: float = 1.0) -> Feature:
    """scale t."""
    return Partial(_time, scale)


def _time(scale: Number, c: Coeffs) -> Float[Array, "*b"]:
    return scale * c.t


def log_snr(scale: float = 1.0) -> Feature:
    """scale log_snr(t), in nats.

    Source: Kingma et al. 2021, arXiv:2107.00630.
    """
    return Partial(_log_snr, scale)


def _log_snr(scale: Number, c: Coeffs) -> Float[Array, "*b"]:
    return scale * c.log_snr


def log_std(scale: float = 0.25, unit: float = 1.0) -> Feature:
    """scale log(sigma / (unit alpha)), EDM's c_noise; (1, 2) is that of its VE models.

    Args:   scale, unit: no unit.
    Errors: ValueError unless unit > 0.
    Source: Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    require(unit > 0, f"unit must be > 0, got {unit=}")
    return Partial(_log_std, scale, unit)


def _log_std(scale: Number, unit: Number, c: Coeffs) -> Float[Array, "*b"]:
    return -0.5 * scale * (c.log_snr + 2 * jnp.log(unit))


def variance() -> Feature:
    """sigma^2, the variance of the noise, as in the Keras DDIM example."""
    return Partial(_variance)


def _variance(c: Coeffs) -> Float[Array, "*b"]:
    return jnp.square(c.sigma)


def unit_variance(c: Coeffs, sigma_data: Number) -> Float[Array, "*b"]:
    """c_in = 1 / sqrt(sigma^2 + sigma_data^2 alpha^2), which scales x_t to variance 1.

    Args:    c: Coeffs of f[b].
             sigma_data: standard deviation of the data, in model units.
    Returns: f[b].
    """
    return 1 / jnp.sqrt(c.sigma**2 + (sigma_data * c.alpha) ** 2)


def show(
    apply: Callable,
    feature: Feature,
    sigma_data: Number | None,
    params: PyTree,
    x_t: Float[Array, "b ..."],
    c: Coeffs,
    cond: PyTree,
) -> Float[Array, "b ..."]:
    """The output of flax's apply({"params": params}, x, time, cond) for x_t at times c.

    Args:    feature: one of this module.  x_t: f32[b, ...].  c: of f32[] or f32[b].
             sigma_data: scale x_t to variance 1 for data of this standard deviation, in
             model units; None leaves x_t as it is.
             cond: any condition, or None. The image of a Beside is appended to the
             channels of x_t, and the rest is the condition.
    Returns: out, f32[b, ...].
    """
    if sigma_data is not None:
        x_t = x_t * expand(unit_variance(c, sigma_data), x_t)
    if isinstance(cond, Beside):
        x_t, cond = jnp.concatenate([x_t, cond.image], axis=-1), cond.cond
    times = jnp.broadcast_to(feature(c), x_t.shape[:1])
    return apply({"params": params}, x_t, times, cond)
