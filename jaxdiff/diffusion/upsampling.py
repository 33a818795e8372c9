"""Conditioning on a small image: what an upsampler of a cascade is shown.

(1)  low = shrink(x0)                                       antialiased
(2)  low_a = alpha(a) low + sigma(a) eps                     noise augmentation
(3)  the network sees x_t, enlarge(low_a) and, where a can be other than 0, a

In training a ~ U[0, augment]; in sampling it is chosen. So the upsampler learns how far
to mistrust details that a base model may have got wrong.
Source: Ho et al. 2021, arXiv:2106.15282, section 4.2 (a is a noise level apart from t).
"""

import jax
import jax.numpy as jnp

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, PyTree, expand
from jaxdiff.diffusion.conditions import Beside
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.types import Schedule


def extra_channels(shape: tuple[int, ...], augment: float) -> int:
    """Channels beside x_t: those of the image, and one that holds a if it varies."""
    return shape[-1] + (augment > 0)


def shrink(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b s s c"]:
    """Equation 1: as images of a data set are made smaller, by Lanczos' window."""
    shape = (len(x), size, size, x.shape[-1])
    return jax.image.resize(x, shape, "lanczos3", antialias=True)


def beside(
    keys: Key[Array, "b"],
    low: Float[Array, "b s s c"],
    cond: PyTree,
    *,
    shape: tuple[int, ...],
    schedule: Schedule,
    noise: Noise,
    amount: Float[Array, ""] | Float[Array, "b"] | None,
) -> Beside:
    """Equations 2 and 3: a condition, and the image that a network sees beside x_t.

    Args: keys: one an example.  cond: any condition or None, passed on.
          shape: (h, w, c) of x_t.  amount: a, of all examples or of each; None for a
          network that was trained without.
    """
    size = (len(low), *shape[:2], low.shape[-1])
    if amount is None:
        return Beside(cond, jax.image.resize(low, size, "linear"))
    eps = rng.draw(noise, keys, low.shape[1:])
    alpha, sigma = (expand(f(amount), low) for f in (schedule.alpha, schedule.sigma))
    image = jax.image.resize(alpha * low + sigma * eps, size, "linear")
    plane = jnp.broadcast_to(expand(amount, image), (*image.shape[:-1], 1))
    return Beside(cond, jnp.concatenate([image, plane], axis=-1))
