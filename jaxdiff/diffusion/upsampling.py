"""Conditioning on a small image: what an upsampler of a cascade is shown.

(1)  low = shrink(x0)                                       antialiased
(2)  low_a = alpha(a) low + sigma(a) eps                     noise augmentation
(3)  the network sees x_t, enlarge(low_a) and, where a can be other than 0, a

In training a ~ U[0, augment]; in sampling it is chosen. So the upsampler learns to
mistrust details that a base model may have got wrong, and is told how far.
Source: Ho et al. 2021, arXiv:2106.15282, section 4.2 (a as noise level of its own).
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, expand
from jaxdiff.diffusion.inputs import Beside
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.schedules import Schedule


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
    labels: Any,
    *,
    shape: tuple[int, ...],
    schedule: Schedule,
    noise: Noise,
    amount: Float[Array, "b"] | None,
) -> Beside:
    """Equations 2 and 3: the condition that a network is shown beside x_t.

    Args: keys: one an example.  labels: i32[b] or None, passed on.  shape: (h, w, c) of
          x_t.  amount: a of each; None for a network that was trained without.
    """
    size = (len(low), *shape[:2], low.shape[-1])
    if amount is None:
        return Beside(labels, jax.image.resize(low, size, "linear"))
    eps = rng.draw(noise, keys, low.shape[1:])
    alpha, sigma = (expand(f(amount), low) for f in (schedule.alpha, schedule.sigma))
    image = jax.image.resize(alpha * low + sigma * eps, size, "linear")
    plane = jnp.broadcast_to(expand(amount, image), (*image.shape[:-1], 1))
    return Beside(labels, jnp.concatenate([image, plane], axis=-1))
