"""Linear inverse problems: x0 is sampled given y = A x0.

    A^+ is the pseudo-inverse of A, with A A^+ y = y

(1)  x0 <- x0 + A^+ (y - A x0)                                                 `project`
     The nearest x0 with A x0 = y. The part in the row space of A is replaced; the part
     in its null space remains that of the denoiser.
(2)  grad log p(y | x_t) = g / r^2,   g = J^T A^+ (y - A x0),   J = d x0 / d x_t
     if x0 given x_t is modelled as N(x0(x_t), r^2 I), hence y as N(A x0, r^2 A A^T).
(3)  x0 <- x0 + length g, and then (1),   length = sigma^2 / (alpha r^2)         `pigdm`
     by Tweedie's formula, and for data of variance v
     r^2 = v sigma^2 / (alpha^2 v + sigma^2)
(4)  length = <e, A g> / <A g, A g>,   e = y - A x0
     The length that brings A x0 nearest to y, for each image: r^2 is measured, not
     assumed.

With (4), (3) is E[x0 | x_t, y] for Gaussian data with A Cov[x0 | x_t] A^T = r^2 A A^T,
for any r. With (1) alone, the part in the null space does not depend on y. A mask is a
linear problem too; for it, (1) is the `replace` of editing.py.

Source: (1) Wang et al. 2022, arXiv:2212.00490, eq. 13; (2) Song et al. 2023,
"Pseudoinverse-guided diffusion models for inverse problems", ICLR 2023.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxdiff.arrays import Array, Float, PyTree, expand, require
from jaxdiff.diffusion.types import Denoise, Denoised, Edit, Schedule, Times

__all__ = ["pigdm", "project"]


class Linear(NamedTuple):
    """A linear map and its pseudo-inverse, both Partials.

    apply: A, x0 f[b, *shape] -> y f[b, ...]
    back:  A^+, y f[b, ...] -> x0 f[b, *shape]
    """

    apply: Callable
    back: Callable


def masked(mask: Float[np.ndarray, "..."]) -> Linear:
    """A mask: y is x0 where the mask is 1, and 0 where it is 0.

    Args:    mask: 0 and 1, f[...] like one x0.
    """
    times = Partial(jnp.multiply, jnp.asarray(mask)[None])
    return Linear(times, times)


def pooled(factor: int) -> Linear:
    """Average pooling: y is the mean of each factor x factor square, per channel.

    Args:    factor: side of a square in pixels.
    Returns: Linear, f[b, h, w, c] -> f[b, h / factor, w / factor, c].
    Errors:  ValueError if factor < 2, and in use if it does not divide h and w.
    """
    require(factor >= 2, f"factor must be a whole number from 2 on, got {factor}")
    # the factor is kept as a shape, because a number would be traced
    square = jnp.zeros((factor, factor))
    return Linear(Partial(_pool, square), Partial(_spread, square))


def _pool(
    square: Float[Array, "k k"], x: Float[Array, "b h w c"]
) -> Float[Array, "b p q c"]:
    b, h, w, c = x.shape
    k = len(square)
    require(h % k == 0 and w % k == 0, f"factor {k} does not divide {w}x{h} images")
    return x.reshape(b, h // k, k, w // k, k, c).mean((2, 4))


def _spread(
    square: Float[Array, "k k"], y: Float[Array, "b p q c"]
) -> Float[Array, "b h w c"]:
    return y.repeat(len(square), axis=1).repeat(len(square), axis=2)


def grey(weights: Float[np.ndarray, "c"]) -> Linear:
    """Greyscale: y is the weighted sum of the channels.

    Args:    weights: one per channel.
    Returns: Linear, f[b, h, w, c] -> f[b, h, w, 1].
    """
    weights = np.asarray(weights)
    back = weights / np.square(weights).sum()
    return Linear(Partial(_grey, weights), Partial(_colour, back))


def _grey(
    weights: Float[np.ndarray, "c"] | Float[Array, "c"], x: Float[Array, "b h w c"]
) -> Float[Array, "b h w 1"]:
    return (x @ jnp.asarray(weights, x.dtype))[..., None]


def _colour(
    back: Float[np.ndarray, "c"] | Float[Array, "c"], y: Float[Array, "b h w 1"]
) -> Float[Array, "b h w c"]:
    return y * jnp.asarray(back, y.dtype).reshape(1, 1, 1, -1)


def project() -> Edit:
    """Make x0 agree with y by the smallest change, equation 1.

    Returns: Edit, (denoise, schedule, y, Linear) -> Denoise.
    Source:  Wang et al. 2022, arXiv:2212.00490, eq. 13.
    """
    return Partial(_project)


def _project(
    denoise: Denoise, schedule: Schedule, values: ArrayLike, linear: Linear
) -> Denoise:
    del schedule
    return Partial(_projected, denoise, values, linear)


def _projected(
    denoise: Denoise,
    values: ArrayLike,
    linear: Linear,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    den = denoise(x_t, t, cond)
    return den._replace(x0=agree(linear, den.x0, values), eps=None)


def agree(linear: Linear, x0: Array, y: ArrayLike) -> Array:
    """The nearest x0 with A x0 = y, equation 1.

    Args:    linear: A and A^+.  x0: f[b, ...].  y: f[b, ...].
    """
    return x0 + linear.back(y - linear.apply(x0))


def pigdm(variance: float = 0.0) -> Edit:
    """Pseudo-inverse guidance, equation 3: y also moves x0 in the null space of A.

    Each call costs one derivative of the network beside it.

    Args:    variance: that of the data, for the published r^2, which assumes 1; 0
             measures r^2 by equation 4.
    Returns: Edit, (denoise, schedule, y, Linear) -> Denoise.
    Errors:  ValueError if variance is negative.
    Source:  Song et al. 2023, ICLR, as above.
    """
    require(variance >= 0, f"variance must be at least 0, got {variance=}")
    return Partial(_pigdm, variance)


def _pigdm(
    variance: float | Float[Array, ""],
    denoise: Denoise,
    schedule: Schedule,
    values: ArrayLike,
    linear: Linear,
) -> Denoise:
    return Partial(_guided, variance, denoise, schedule, values, linear)


def _guided(
    variance: float | Float[Array, ""],
    denoise: Denoise,
    schedule: Schedule,
    values: ArrayLike,
    linear: Linear,
    x_t: Float[Array, "b ..."],
    t: Times,
    cond: PyTree,
) -> Denoised:
    def run(x: Array) -> tuple[Array, Denoised]:
        den = denoise(x, t, cond)
        return den.x0, den

    x0, pull, den = jax.vjp(run, x_t, has_aux=True)
    gap = values - linear.apply(x0)
    (towards,) = pull(linear.back(gap))
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    # without signal (alpha = 0) there is no slope to follow
    signal = alpha * jnp.where(variance > 0, variance, 1.0)
    assumed = (alpha * signal + sigma**2) / jnp.where(alpha > 0, signal, 1.0)
    length = jnp.where(variance > 0, assumed, _nearest(gap, linear.apply(towards)))
    length = jnp.where(alpha > 0, length, 0.0)
    x0 = agree(linear, x0 + expand(length, x0) * towards, values)
    return den._replace(x0=x0, eps=None)


def _nearest(
    gap: Float[Array, "b ..."], step: Float[Array, "b ..."]
) -> Float[Array, "b"]:
    """The multiple of `step`, at least 0, that is nearest to `gap`, for each image."""
    axes = tuple(range(1, gap.ndim))
    along, size = (gap * step).sum(axes), (step * step).sum(axes)
    return jnp.maximum(along, 0.0) / jnp.where(size > 0, size, 1.0)
