"""The denoiser: the only currency between networks, guidance and solvers.

    denoise(x_t f[b, ...], t f[] or f[b], cond) -> Denoised

Everything that changes the estimate (guidance, clipping, inpainting) is a function
denoiser -> denoiser, so that they compose. A denoiser is a `Partial`: parameters,
schedule and scales are its leaves.
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
) -> Denoise:
    """A network's output as an estimate of the data (predictions.py, eq. 3).

    Args:    network: Partial (x_t f[b, ...], Coeffs of f[b], cond) -> out; with
             learned_variance its last axis is twice that of x_t and the second half is
             v, with frac = (v + 1) / 2.
    Returns: Denoise that gives x0 and, with learned_variance, var_frac.
    Source:  Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 15, for the variance.
    """
    split = _split if learned_variance else _whole
    return Partial(_denoise, Partial(split), network, schedule, prediction)


def _denoise(
    split: Partial,
    network: Network,
    schedule: Schedule,
    prediction: Prediction,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    c = coeffs(schedule, jnp.broadcast_to(t, x_t.shape[:1]))
    out, var_frac = split(network(x_t, c, cond))
    return Denoised(to_x0(prediction(c), c, x_t, out), var_frac)


def _whole(out: Array) -> tuple[Array, None]:
    return out, None


def _split(out: Array) -> tuple[Array, Array]:
    out, v = jnp.split(out, 2, axis=-1)
    return out, (v + 1) / 2


def noise_of(
    denoised: Denoised, x_t: Array, alpha: Float[Array, "*b"], sigma: Float[Array, "*b"]
) -> Array:
    """The noise estimate that goes with x0: what is left of x_t; 0 where sigma = 0.

    Args:   alpha, sigma: of the time of x_t, f[], f[b] or f[b, 1, ..., 1].
    Errors: ValueError for a denoiser with a mean_shift, which has no such noise.
    """
    check_no_mean_shift(denoised)
    if denoised.eps is not None:
        return denoised.eps
    alpha, sigma = expand(alpha, x_t), expand(sigma, x_t)
    safe = jnp.where(sigma == 0, 1.0, sigma)
    eps = (x_t - alpha * denoised.x0) / safe
    return jnp.where(sigma == 0, jnp.zeros_like(eps), eps)


def check_no_mean_shift(denoised: Denoised) -> None:
    """Errors: ValueError for a denoiser with a mean_shift, which only ddpm applies."""
    if denoised.mean_shift is not None:
        raise ValueError("guidance of form 'mean' is for the solver ddpm; use 'score'")


def clip(denoise: Denoise, low: Bound = -1.0, high: Bound = 1.0) -> Denoise:
    """Keep x0 within [low, high]; the noise follows, so that x_t is still their sum.

    Args: low, high: in model units, numbers or f[c] for the channels of the last axis.
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
    """Divide x0, image by image, by what that share of its values is within.

    Values count from the middle of [low, high], in units of half its width; where the
    quantile is below 1 nothing is divided. `clip` brings the rest within.

    Args:   quantile: no unit, in (0, 1].  low, high: as of `clip`.
    Errors: ValueError for a quantile outside (0, 1].
    Source: Saharia et al. 2022, arXiv:2205.11487, section 2.3.
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
    """Keep x0 within [low, high] and the noise as it was: as diffusers' DDIM does.

    Args: schedule: that of the denoiser.  low, high: as of `clip`.
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
