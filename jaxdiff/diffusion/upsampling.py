"""The condition of an upsampler: a small image, which may be noised.

(1)  low = shrink(x0)                                     antialiased
(2)  low_a = alpha(a) low + sigma(a) eps                  noise augmentation
(3)  The network sees x_t, enlarge(low_a) and, if a varies, a.

In training a ~ U[0, augment]; in sampling it is chosen. The upsampler thus learns how
little to trust details that a base model may have got wrong.
a is independent of t.
Source: Ho et al. 2021, arXiv:2106.15282, section 4.2.
"""

import jax
import jax.numpy as jnp

from jaxdiff import rng
from jaxdiff.arrays import Array, Float, Key, PyTree, expand
from jaxdiff.diffusion.conditions import Beside
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.types import Schedule


def extra_channels(shape: tuple[int, ...], augment: float) -> int:
    """The number of channels added to x_t: the image's, and one for a if it varies."""
    return shape[-1] + (augment > 0)


def shrink(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b s s c"]:
    """Equation 1, with the Lanczos window by which data sets make images smaller.

    Args:    size: s, the side of the small images in pixels.
    """
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
    """A condition with the image that the network sees beside x_t, equations 2 and 3.

    Args:    keys: one per example.  low: the small images.
             cond: any condition, or None.
             shape: (h, w, c) of x_t.  schedule, noise: of equation 2.
             amount: a, f[] or f[b]; None if the network was trained without it.
    Returns: Beside, whose image is f[b, h, w, c], or f[b, h, w, c + 1] with a.
    """
    size = (len(low), *shape[:2], low.shape[-1])
    if amount is None:
        return Beside(cond, jax.image.resize(low, size, "linear"))
    eps = rng.draw(noise, keys, low.shape[1:])
    alpha, sigma = (expand(f(amount), low) for f in (schedule.alpha, schedule.sigma))
    image = jax.image.resize(alpha * low + sigma * eps, size, "linear")
    plane = jnp.broadcast_to(expand(amount, image), (*image.shape[:-1], 1))
    return Beside(cond, jnp.concatenate([image, plane], axis=-1))
