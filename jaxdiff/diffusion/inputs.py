"""What the network is shown: a time feature, and x_t perhaps scaled.

A network knows nothing of diffusion: it takes f32[b, ...], one number per example and a
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
    """scale (t T - 1): the step 0 ... T - 1 of a table, as DDPM's networks take it."""
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
    """scale log_snr(t). Kingma et al. 2021, arXiv:2107.00630."""
    return Partial(_log_snr, scale)


def _log_snr(scale: Number, c: Coeffs) -> Float[Array, "*b"]:
    return scale * c.log_snr


def log_std() -> Feature:
    """log(sigma / alpha) / 4: c_noise of Karras et al. 2022, arXiv:2206.00364."""
    return Partial(_log_snr, -0.125)


def variance() -> Feature:
    """sigma^2: the noise variance, as the Keras DDIM example gives it."""
    return Partial(_variance)


def _variance(c: Coeffs) -> Float[Array, "*b"]:
    return jnp.square(c.sigma)


def unit_variance(c: Coeffs, sigma_data: Number) -> Float[Array, "*b"]:
    """c_in = 1 / sqrt(sigma^2 + sigma_data^2 alpha^2): makes x_t of unit variance."""
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
    """The output of flax's apply({"params": ...}, x, time, cond) for x_t at times c.

    Args: c: Coeffs of f32[] or f32[b].  cond: what the network is given, any tree or
          None; of Beside the image is joined to x_t and the rest is given.
          sigma_data: scale x_t to unit variance for such data; None leaves it as it is.
    """
    if sigma_data is not None:
        x_t = x_t * expand(unit_variance(c, sigma_data), x_t)
    if isinstance(cond, Beside):
        x_t, cond = jnp.concatenate([x_t, cond.image], axis=-1), cond.cond
    times = jnp.broadcast_to(feature(c), x_t.shape[:1])
    return apply({"params": params}, x_t, times, cond)
