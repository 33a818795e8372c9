"""The denoiser, the only interface between networks, guidance and solvers.

    denoise(x_t f[b, ...], t f[] or f[b], cond) -> Denoised

Everything that changes the estimate (guidance, clipping, inpainting) takes a denoiser
and returns one, so that these functions compose. A denoiser is a `Partial` whose leaves
are the parameters, the schedule and the scales.
"""

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.predictions import Prediction, to_x0
from jaxdiff.diffusion.types import Denoise, Denoised, Network, Schedule, Times

Bound = float | np.ndarray | Array


def make_denoise(
    network: Network,
    *,
    schedule: Schedule,
    prediction: Prediction,
    learned_variance: bool = False,
    scalar_times: bool = False,
) -> Denoise:
    """Turn a network into a denoiser: its output becomes an estimate of x0.

    x0 = (b x_t - sigma out) / (alpha b - sigma a)     predictions.py, eq. 3

    Args:    network: Partial, (x_t f[b, ...], Coeffs of f[b], cond) -> out f[b, ...].
             schedule: the noise schedule that the network is trained with.
             prediction: what the network predicts, the row (a, b).
             learned_variance: the last axis of `out` is twice that of x_t, and its
             second half is v, with var_frac = (v + 1) / 2.
             scalar_times: the network is given Coeffs of f[] where t is f[].
    Returns: Denoise. It gives x0 and, with learned_variance, var_frac.
    Source:  Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 15, for the variance.
    """
    split = _split if learned_variance else _whole
    at = Partial(_times if scalar_times else _time_each)
    return Partial(_denoise, Partial(split), at, network, schedule, prediction)


def _denoise(
    split: Partial,
    at: Partial,
    network: Network,
    schedule: Schedule,
    prediction: Prediction,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    c = coeffs(schedule, at(t, x_t))
    out, var_frac = split(network(x_t, c, cond))
    return Denoised(to_x0(prediction(c), c, x_t, out), var_frac)


def _times(t: Times, x_t: Array) -> Array:
    return jnp.asarray(t, x_t.dtype)


def _time_each(t: Times, x_t: Array) -> Array:
    return jnp.broadcast_to(t, x_t.shape[:1])


def _whole(out: Array) -> tuple[Array, None]:
    return out, None


def _split(out: Array) -> tuple[Array, Array]:
    out, v = jnp.split(out, 2, axis=-1)
    return out, (v + 1) / 2


def noise_of(
    denoised: Denoised, x_t: Array, alpha: Float[Array, "*b"], sigma: Float[Array, "*b"]
) -> Array:
    """The estimate of eps that belongs to the estimate of x0: (x_t - alpha x0) / sigma.

    Args:    denoised: at x_t; its own eps is returned if it has one.  x_t: f[b, ...].
             alpha, sigma: at the time of x_t, f[], f[b] or f[b, 1, ..., 1].
    Returns: f[b, ...], 0 where sigma = 0.
    Errors:  ValueError if the denoiser gives a mean_shift, which no eps can express.
    """
    check_no_mean_shift(denoised)
    if denoised.eps is not None:
        return denoised.eps
    alpha, sigma = expand(alpha, x_t), expand(sigma, x_t)
    safe = jnp.where(sigma == 0, 1.0, sigma)
    eps = (x_t - alpha * denoised.x0) / safe
    return jnp.where(sigma == 0, jnp.zeros_like(eps), eps)


def check_no_mean_shift(denoised: Denoised) -> None:
    """Check that the denoiser gives no mean_shift, which only ddpm applies.

    Errors: ValueError if it does.
    """
    if denoised.mean_shift is not None:
        raise ValueError("guidance of form 'mean' is for the solver ddpm; use 'score'")


def clip(denoise: Denoise, low: Bound = -1.0, high: Bound = 1.0) -> Denoise:
    """Clip x0 to [low, high]. eps changes with it, so that x_t remains their sum.

    Args:    low, high: in model units; numbers, or f[c] for the channels.
    Returns: Denoise.
    """
    return Partial(_clip, denoise, low, high)


def _clip(
    denoise: Denoise,
    low: Bound,
    high: Bound,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    den = denoise(x_t, t, cond)
    return den._replace(x0=_within(den.x0, low, high), eps=None)


def dynamic_threshold(
    denoise: Denoise,
    quantile: float | Float[Array, ""] = 0.995,
    low: Bound = -1.0,
    high: Bound = 1.0,
) -> Denoise:
    """Divide each image's x0 by a quantile of the size of its values.

    Sizes are measured from the middle of [low, high], in units of half its width. Where
    the quantile is below 1, the image is left as it is. `clip` brings the remaining
    values into the range.

    Args:    quantile: no unit, in (0, 1].  low, high: as for `clip`.
    Returns: Denoise.
    Errors:  ValueError if quantile is outside (0, 1].
    Source:  Saharia et al. 2022, arXiv:2205.11487, section 2.3.
    """
    inside = (quantile > 0) & (quantile <= 1)
    require(inside, f"quantile must be in (0, 1], got {quantile=}")
    return Partial(_threshold, denoise, quantile, low, high)


def _threshold(
    denoise: Denoise,
    quantile: float | Float[Array, ""],
    low: Bound,
    high: Bound,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    den = denoise(x_t, t, cond)
    low, high = (jnp.broadcast_to(end, x_t.shape) for end in (low, high))
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    x0 = (den.x0 - centre) / half
    axes = tuple(range(1, x_t.ndim))
    size = jnp.quantile(jnp.abs(x0), quantile, axis=axes, keepdims=True)
    x0 = centre + half * x0 / jnp.maximum(size, 1.0)
    return den._replace(x0=x0, eps=None)


def clip_x0_only(
    denoise: Denoise, schedule: Schedule, low: Bound = -1.0, high: Bound = 1.0
) -> Denoise:
    """Clip x0 to [low, high] and keep eps as it was, as diffusers' DDIM does.

    Args:    schedule: that of the denoiser.  low, high: as for `clip`.
    Returns: Denoise.
    """
    return Partial(_clip_x0_only, denoise, schedule, low, high)


def _clip_x0_only(
    denoise: Denoise,
    schedule: Schedule,
    low: Bound,
    high: Bound,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    den = denoise(x_t, t, cond)
    eps = noise_of(den, x_t, schedule.alpha(t), schedule.sigma(t))
    return den._replace(x0=_within(den.x0, low, high), eps=eps)


def _within(x0: Array, low: Bound, high: Bound) -> Array:
    low, high = (jnp.broadcast_to(end, x0.shape) for end in (low, high))
    return jnp.clip(x0, low, high)
