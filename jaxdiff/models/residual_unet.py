"""The residual U-Net of the Keras DDIM example. It reads the noise variance as a map.

(1)  e = waves(v),  32 numbers, the same at every pixel
(2)  h = [conv1(x), e]
(3)  down, each level but the last:  `num_blocks` x (block, skip), mean of 2x2
(4)  the last level:  `num_blocks` x block
(5)  up, in reverse:  bilinear 2x, `num_blocks` x (concatenate a skip, block)
(6)  out = conv1_0(h), which starts at zero
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.models.embeddings import expose, waves
from jaxdiff.models.encoder import widths
from jaxdiff.models.norms import Norm, check_norm, normalize
from jaxdiff.models.resampling import INIT, ZERO, conv, halve

__all__ = ["Block", "ResidualUNet", "double_linear", "make"]

WAVES = 32


def pointwise(features: int, dtype: Any, name: str, *, zero=False) -> nn.Dense:
    """A 1x1 convolution, which runs faster as a matrix product per pixel."""
    init = ZERO if zero else INIT
    return nn.Dense(features, kernel_init=init, dtype=dtype, name=name)


class Block(nn.Module):
    """S(x) + conv3(swish(conv3(norm(x)))), where S is 1x1 if the width changes.

    The norm has no parameters. The original has a batch norm; a group norm has as few
    parameters (none) and keeps the network a function of its arguments. There are no
    running averages, and the output for an image does not depend on its batch.
    """

    features: int
    dtype: Any = jnp.float32
    norm: Norm = Norm()

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"]
    ) -> Float[Array, "b h w {self.features}"]:
        h = normalize(x, self.norm).astype(self.dtype)  # (b, h, w, c)
        h = nn.silu(conv(self.features, 3, self.dtype, "conv_in")(h))  # (b, h, w, f)
        h = conv(self.features, 3, self.dtype, "conv_out")(h)
        if x.shape[-1] != self.features:
            x = pointwise(self.features, self.dtype, "skip")(x)
        return x + h  # (b, h, w, f)


def double_linear(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Bilinear upsampling: new pixels lie a quarter of the way between old ones, 3 : 1.

    At the border, where one of the two is missing, the other takes its place.
    """
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear")


class ResidualUNet(nn.Module):
    """The network of equations 1 to 6; v is the noise variance sigma^2, in [0, 1].

    With widths (32, 64, 96, 128), two blocks and three channels it has about 1.95
    million parameters. `cond` is ignored.
    Source: Keras example "Denoising Diffusion Implicit Models" (A. Béres, 2022).
    """

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]
    num_blocks: int
    dtype: Any = jnp.float32
    norm: Norm = Norm()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        v: Float[Array, "b"],
        cond: Int[Array, "b"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "b h w {self.out_channels}"]:
        del cond, train
        if x.shape[-1] != self.in_channels:
            raise ValueError(
                f"the network reads {self.in_channels} channels, got {x.shape=}; "
                "extra_channels are concatenated to x by the caller"
            )
        *outer, last = self.widths
        how = (self.dtype, self.norm)
        h = pointwise(self.widths[0], self.dtype, "in")(x)
        e = waves(v, WAVES).astype(h.dtype)  # (b, 32)
        expose(self, e)
        e = e[:, None, None, :]
        e = jnp.broadcast_to(e, (*h.shape[:3], WAVES))
        h, skips = jnp.concatenate([h, e], -1), []  # (b, h, w, f_0 + 32)
        for i, features in enumerate(outer):
            for j in range(self.num_blocks):
                h = Block(features, *how, name=f"down_{i}_{j}")(h)
                skips.append(h)
            h = halve(h)  # (b, h / 2^(i+1), w / 2^(i+1), f_i)
        for j in range(self.num_blocks):
            h = Block(last, *how, name=f"middle_{j}")(h)
        for i, features in reversed(list(enumerate(outer))):
            h = double_linear(h)  # (b, h / 2^i, w / 2^i, f_(i+1))
            for j in range(self.num_blocks):
                h = jnp.concatenate([h, skips.pop()], -1)
                h = Block(features, *how, name=f"up_{i}_{j}")(h)
        out = pointwise(self.out_channels, self.dtype, "out", zero=True)(h)
        return out.astype(jnp.float32)  # (b, h, w, o)


def make(
    *,
    shape: tuple[int, ...],
    num_classes: int = 0,
    channels: int = 32,
    multipliers: Sequence[int | float] = (1, 2, 3, 4),
    num_blocks: int = 2,
    learned_variance: bool = False,
    extra_channels: int = 0,
    norm_groups: int = 0,
    norm_eps: float = 1e-5,
    dtype: str = "float32",
) -> ResidualUNet:
    """Build a ResidualUNet for images of `shape` (h, w, c).

    Args:
        num_classes: must be 0, because the network takes no labels.
        channels, multipliers: level i has channels * multipliers[i] channels and maps
            of h / 2^i by w / 2^i pixels; the last level is the middle.
        num_blocks: residual blocks per level.
        learned_variance: doubles the output channels.
        extra_channels: channels of x beyond c, e.g. an image to condition on.
        norm_groups, norm_eps: see norms.Norm.
        dtype: of the arithmetic, "float32" or "bfloat16"; parameters are float32.
    Returns: ResidualUNet, f(x, v f32[b], cond) -> f32[b, h, w, c], or 2 c channels.
    Errors:  ValueError for labels, and for sizes that cannot be halved so often.
    """
    shape, multipliers = tuple(shape), tuple(multipliers)
    if num_classes:
        raise ValueError(
            f"a residual_unet reads no labels, got {num_classes=}; set "
            'diffusion.condition="none", or take the unet'
        )
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype must be one of float32, bfloat16, got {dtype=}")
    if channels < 1 or num_blocks < 1 or extra_channels < 0:
        raise ValueError(
            "need channels >= 1, num_blocks >= 1 and extra_channels >= 0, got "
            f"{channels=}, {num_blocks=}, {extra_channels=}"
        )
    if not multipliers or any(m <= 0 or channels * m % 1 for m in multipliers):
        raise ValueError(
            "multipliers must be positive and give whole numbers of channels, got "
            f"{multipliers=} with {channels=}"
        )
    times = len(multipliers) - 1
    if len(shape) != 3 or shape[0] % 2**times or shape[1] % 2**times:
        raise ValueError(
            f"{len(multipliers)} levels halve images (h, w, c) {times} times: height "
            f"and width must be multiples of {2**times}, got {shape=}; pad or resize "
            "the images, or give fewer multipliers"
        )
    norm, sizes = check_norm(norm_groups, norm_eps), widths(channels, multipliers)
    for features in (*sizes, sizes[0] + WAVES):
        norm.count(features)
    return ResidualUNet(
        in_channels=shape[-1] + extra_channels,
        out_channels=shape[-1] * (2 if learned_variance else 1),
        widths=tuple(sizes),
        num_blocks=num_blocks,
        dtype=jnp.dtype(dtype),
        norm=norm,
    )
