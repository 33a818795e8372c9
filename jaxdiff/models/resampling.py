"""Convolutions, and what halves or doubles an image, with or without parameters.

Parameters are always float32. `dtype` is that of the convolutions.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float

__all__ = [
    "Downsample",
    "Upsample",
    "check_padding",
    "conv",
    "double",
    "filtered",
    "halve",
    "resampled",
]

# Variance 1 / mean(fan_in, fan_out), uniform, as in DDPM; biases start at zero.
INIT = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")
ZERO = nn.initializers.zeros_init()

# By which a 3x3 convolution of stride 2 is padded, before and behind each axis.
PADDINGS = {"all": (1, 1), "far": (0, 1)}


def check_padding(downsample_padding: str) -> str:
    """The padding as it is. Errors: ValueError if it is none of PADDINGS."""
    if downsample_padding not in PADDINGS:
        raise ValueError(
            f"downsample_padding must be one of {', '.join(PADDINGS)}, got "
            f"{downsample_padding=}"
        )
    return downsample_padding


def conv(
    features: int,
    kernel: int,
    dtype: Any,
    name: str,
    *,
    padding: str = "",
    zero=False,
) -> nn.Conv:
    """A convolution padded by kernel // 2 on every side; with `padding`, of PADDINGS,
    one of stride 2.
    """
    return nn.Conv(
        features,
        (kernel, kernel),
        strides=2 if padding else 1,
        padding=[PADDINGS[padding]] * 2 if padding else kernel // 2,
        kernel_init=ZERO if zero else INIT,
        dtype=dtype,
        name=name,
    )


def halve(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    """Mean over non-overlapping 2x2 windows; h and w must be even."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def double(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Nearest-neighbour upsampling: every pixel becomes a 2x2 block."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (b, h, 2, w, 2, c))
    return x.reshape(b, 2 * h, 2 * w, c)


def filtered(
    x: Float[Array, "b h w c"], taps: tuple[int, ...], resample: str, padding: int = -1
) -> Float[Array, "b h2 w2 c"]:
    """Halve ("down") or double ("up") an image by a symmetric filter of even length.

    f = taps / sum(taps) of length L;   along each axis, with zeros outside the image,
    down:  y_i = sum_k f_k x_(2i + k - P),   P = L / 2 - 1
    up:    y_i = 2 sum_k f_k z_(i + k - L/2),   z_2i = x_i and z_(2i + 1) = 0

    taps (1, 1) are `halve` and `double`. A `padding` that is not -1 is P of "down", for
    an x that a convolution has already extended.
    Source: Song et al. 2021, arXiv:2011.13456, appendix H, after StyleGAN 2.
    """
    up, half = resample == "up", len(taps) // 2
    f = [tap * (1 + up) / sum(taps) for tap in taps]
    P = half - 1 if padding < 0 else padding
    edges = (half, half, 1) if up else (P, P, 0)
    for axis in (1, 2):
        config = [edges if i == axis else (0, 0, 0) for i in range(4)]
        x = jax.lax.pad(x, jnp.zeros((), x.dtype), config)
        span, stride = x.shape[axis] - len(taps) + 1, 1 if up else 2
        part = partial(jax.lax.slice_in_dim, x, stride=stride, axis=axis)
        first, *others = (f_k * part(k, k + span) for k, f_k in enumerate(f))
        x = sum(others, start=first)
    return x


def resampled(
    x: Float[Array, "b h w c"], resample: str, taps: tuple[int, ...] = (1, 1)
) -> Float[Array, "b h2 w2 c"]:
    """x itself (""), halved ("down") or doubled ("up"), see `filtered`."""
    if not resample:
        return x
    if taps == (1, 1):
        return halve(x) if resample == "down" else double(x)
    return filtered(x, taps, resample)


class Downsample(nn.Module):
    """Halve the image by a 3x3 convolution of stride 2, or by the mean of 2x2 windows.

    The convolution is padded by one pixel on all four sides, as in ADM, or on the far
    sides, below and to the right, as in DDPM.
    """

    learned: bool
    dtype: Any = jnp.float32
    padding: str = "all"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
        if not self.learned:
            return halve(x)
        return conv(x.shape[-1], 3, self.dtype, "conv", padding=self.padding)(x)


class Upsample(nn.Module):
    """Double the image: nearest neighbour, then a 3x3 convolution if `learned`."""

    learned: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
        x = double(x)  # (b, 2 h, 2 w, c)
        return conv(x.shape[-1], 3, self.dtype, "conv")(x) if self.learned else x
