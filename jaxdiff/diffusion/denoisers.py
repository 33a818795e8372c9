"""The denoiser: the only currency between networks, guidance and solvers.

    denoise(x_t f32[b, ...], t f32[] or f32[b], cond) -> Denoised

Everything that changes what a network says (guidance, clipping, inpainting) is a
function denoiser -> denoiser, so they compose. A denoiser is a `Partial`: parameters,
schedule and scales are its leaves.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxdiff.arrays import Array, Float, expand, require
from jaxdiff.diffusion.inputs import Network
from jaxdiff.diffusion.predictions import Prediction, to_x0
from jaxdiff.diffusion.schedules import Schedule, coeffs


class Denoised(NamedTuple):
    """x0: the estimate of the data, f32[b, ...].

    var_frac:  learned-variance fraction in [0, 1] of each value (posterior.py, eq. 4),
               or None.
    eps:       the noise estimate where it is *not* (x_t - alpha x0) / sigma, or None:
               some wrappers change x0 and keep the noise.
    mean_shift: f32[b, ...], what an ancestral step adds to its mean, times its variance
               (guidance.py, eq. 3), or None.
    """

    x0: Array
    var_frac: Array | None = None
    eps: Array | None = None
    mean_shift: Array | None = None


Denoise = Callable[..., Denoised]
Bound = float | np.ndarray | Array


def make_denoise(
    network: Network,
    *,
    schedule: Schedule,
    prediction: Prediction,
    learned_variance: bool = False,
) -> Denoise:
    """A network's output as an estimate of the data (predictions.py, eq. 3).

    Args: network: Partial (x_t, Coeffs, cond) -> out; with learned_variance its last
          axis is twice that of x_t and the second half is v, frac = (v + 1) / 2.
    """
    split = _split if learned_variance else _whole
    return Partial(_denoise, Partial(split), network, schedule, prediction)


def noise_of(
    denoised: Denoised, x_t: Array, alpha: Float[Array, ""], sigma: Float[Array, ""]
) -> Array:
    """The noise estimate that goes with x0: what is left of x_t; 0 where sigma = 0.

    Errors: ValueError for a denoiser that pushes a mean, which these solvers lack.
    """
    check_no_mean_shift(denoised)
    if denoised.eps is not None:
        return denoised.eps
    safe = jnp.where(sigma == 0, 1.0, sigma)
    eps = (x_t - expand(alpha, x_t) * denoised.x0) / expand(safe, x_t)
    return jnp.where(sigma == 0, jnp.zeros_like(eps), eps)


def check_no_mean_shift(denoised: Denoised) -> None:
    """ValueError for a denoiser that pushes a mean, which most solvers lack."""
    if denoised.mean_shift is not None:
        raise ValueError("guidance of form 'mean' is for the solver ddpm; use 'score'")


def clip(denoise: Denoise, low: Bound = -1.0, high: Bound = 1.0) -> Denoise:
    """Keep x0 within [low, high]; the noise follows, so that x_t is still their sum.

    low, high: numbers, or f[c] for the channels of the last axis.
    """
    return Partial(_clip, denoise, low, high)


def dynamic_threshold(
    denoise: Denoise,
    quantile: float | Float[Array, ""] = 0.995,
    low: Bound = -1.0,
    high: Bound = 1.0,
) -> Denoise:
    """Divide x0, image by image, by what that share of its values is within.

    Values count from the middle of [low, high], in units of half its width; where the
    quantile is below 1 nothing is divided. `clip` brings the rest within.

    Source: Saharia et al. 2022, arXiv:2205.11487, section 2.3.
    """
    inside = (quantile > 0) & (quantile <= 1)
    require(inside, f"quantile must be in (0, 1], got {quantile=}")
    return Partial(_dynamic, denoise, quantile, low, high)


def clip_x0_only(
    denoise: Denoise, schedule: Schedule, low: Bound = -1.0, high: Bound = 1.0
) -> Denoise:
    """Keep x0 within [low, high] and the noise as it was: as diffusers' DDIM does."""
    return Partial(_clip_x0_only, denoise, schedule, low, high)


def _whole(out):
    return out, None


def _split(out):
    out, v = jnp.split(out, 2, axis=-1)
    return out, (v + 1) / 2


def _denoise(split, network, schedule, prediction, x_t, t, cond):
    c = coeffs(schedule, jnp.broadcast_to(t, x_t.shape[:1]))
    out, var_frac = split(network(x_t, c, cond))
    return Denoised(to_x0(prediction(c), c, x_t, out), var_frac)


def _clip(denoise, low, high, x_t, t, cond):
    den = denoise(x_t, t, cond)
    return den._replace(x0=_within(den.x0, low, high), eps=None)


def _dynamic(denoise, quantile, low, high, x_t, t, cond):
    den = denoise(x_t, t, cond)
    low, high = (jnp.broadcast_to(end, x_t.shape) for end in (low, high))
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    x0 = (den.x0 - centre) / half
    axes = tuple(range(1, x_t.ndim))
    size = jnp.quantile(jnp.abs(x0), quantile, axis=axes, keepdims=True)
    x0 = centre + half * x0 / jnp.maximum(size, 1.0)
    return den._replace(x0=x0, eps=None)


def _clip_x0_only(denoise, schedule, low, high, x_t, t, cond):
    den = denoise(x_t, t, cond)
    eps = noise_of(den, x_t, schedule.alpha(t), schedule.sigma(t))
    return den._replace(x0=_within(den.x0, low, high), eps=eps)


def _within(x0, low, high):
    low, high = (jnp.broadcast_to(end, x0.shape) for end in (low, high))
    return jnp.clip(x0, low, high)
