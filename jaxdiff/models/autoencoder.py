"""Autoencoders, which map images to a small latent and back.

An autoencoder is trained for itself, or as the first stage of latent diffusion.

encoder: stem conv3 -> per level: `num_blocks` x residual, then down (except at the
         last level) -> middle -> norm, swish -> latent
decoder: latent -> middle -> per level from the coarsest: `decoder_blocks` x residual,
         then up (except at the finest level) -> norm, swish, conv3

The latent is either a feature map, with a 3x3 convolution on each side, or a flat
vector, with a matrix on each side. Level i has h / 2^i by w / 2^i pixels, so n
multipliers give maps 2^(n - 1) times smaller than the image.

Latent diffusion's first stage, without `shape`: channels=128, multipliers=(1, 2, 4, 4),
num_blocks=2, decoder_blocks=3, middle="attention", latent_conv=True, norm_eps=1e-6,
downsample_padding="far"
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.models.blocks import Blocks, check_middle
from jaxdiff.models.encoder import check_levels, widths
from jaxdiff.models.norms import GroupNorm, check_norm
from jaxdiff.models.resampling import INIT, Downsample, Upsample, check_padding, conv

__all__ = ["Autoencoder", "make"]


class Down(nn.Module):
    """The encoder: images to `num_latents` channels of a map, or to a flat vector."""

    sizes: tuple[int, ...]
    num_blocks: int
    num_latents: int
    flat: bool
    latent_conv: bool
    blocks: Blocks

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b *latent"]:
        make, dtype = self.blocks, self.blocks.dtype
        h = conv(self.sizes[0], 3, dtype, "stem")(x)  # (b, h, w, f_0)
        for i, features in enumerate(self.sizes):
            for j in range(self.num_blocks):
                h = make.res(features, f"res_{i}_{j}")(h)
            if i < len(self.sizes) - 1:
                padding = make.downsample_padding
                h = Downsample(True, dtype, padding, name=f"down_{i}")(h)
        h = make.between(h)
        h = GroupNorm(dtype, make.norm, True, name="norm")(h)  # (b, h', w', f)
        if self.flat:
            h = h.reshape(len(h), -1)  # (b, h' w' f)
            return dense(self.num_latents, dtype, "latent")(h)
        h = conv(self.num_latents, 3, dtype, "latent")(h)  # (b, h', w', k)
        return (
            dense(self.num_latents, dtype, "latent_conv")(h) if self.latent_conv else h
        )


class Up(nn.Module):
    """The decoder: a latent map or vector to images.

    The output is not squashed into [-1, 1]. It is the mean of a normal distribution
    whose most common values are black and white, and tanh would reach those only at
    infinity. Images are clipped when they are shown (Source.decode).
    """

    shape: tuple[int, int, int]
    sizes: tuple[int, ...]
    num_blocks: int
    flat: bool
    latent_conv: bool
    blocks: Blocks

    @nn.compact
    def __call__(self, z: Float[Array, "b *latent"]) -> Float[Array, "b h w c"]:
        make, dtype = self.blocks, self.blocks.dtype
        factor = 2 ** (len(self.sizes) - 1)
        inner = (self.shape[0] // factor, self.shape[1] // factor, self.sizes[-1])
        if self.flat:
            h = dense(math.prod(inner), dtype, "latent")(z)
            h = h.reshape(len(z), *inner)  # (b, h', w', f)
        else:
            if self.latent_conv:
                z = dense(z.shape[-1], dtype, "latent_conv")(z)  # (b, h', w', k)
            h = conv(inner[-1], 3, dtype, "latent")(z)  # (b, h', w', f)
        h = make.between(h)
        for i, features in reversed(list(enumerate(self.sizes))):
            for j in range(self.num_blocks):
                h = make.res(features, f"res_{i}_{j}")(h)
            if i > 0:  # (b, h / 2^i, w / 2^i, f_i)
                h = Upsample(True, dtype, name=f"up_{i}")(h)
        h = GroupNorm(dtype, make.norm, True, name="norm")(h)  # (b, h, w, f_0)
        return conv(self.shape[-1], 3, dtype, "out")(h)  # (b, h, w, c)


class Autoencoder(nn.Module):
    """encode: x -> mean and log-variance of z;   decode: z -> x, in model units.

    Both are float32. Without `variational`, the log-variance is None.
    Source: Kingma & Welling 2014, arXiv:1312.6114 (variational); Rombach et al. 2022,
    arXiv:2112.10752 (as a first stage).
    """

    shape: tuple[int, int, int]
    sizes: tuple[int, ...]
    num_blocks: int
    num_latents: int
    flat: bool
    variational: bool
    blocks: Blocks
    decoder_blocks: int
    latent_conv: bool = False

    def setup(self):
        moments = self.num_latents * (2 if self.variational else 1)
        latent = (self.flat, self.latent_conv, self.blocks)
        self.encoder = Down(self.sizes, self.num_blocks, moments, *latent)
        self.decoder = Up(self.shape, self.sizes, self.decoder_blocks, *latent)

    def encode(
        self, x: Float[Array, "b h w c"]
    ) -> tuple[Float[Array, "b *latent"], Float[Array, "b *latent"] | None]:
        if x.shape[1:] != self.shape:
            raise ValueError(f"this network encodes images {self.shape}, got {x.shape}")
        out = self.encoder(x).astype(jnp.float32)  # (b, *latent), or twice as deep
        if not self.variational:
            return out, None
        mean, log_var = jnp.split(out, 2, axis=-1)
        return mean, log_var

    def decode(self, z: Float[Array, "b *latent"]) -> Float[Array, "b h w c"]:
        return self.decoder(z).astype(jnp.float32)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Encode and decode through the mean; initialisation runs this."""
        return self.decode(self.encode(x)[0])


def dense(features: int, dtype: Any, name: str) -> nn.Dense:
    return nn.Dense(features, kernel_init=INIT, dtype=dtype, name=name)


def make(
    *,
    shape: tuple[int, ...],
    variational: bool,
    channels: int = 32,
    multipliers: Sequence[int | float] = (1, 2, 2),
    num_blocks: int = 1,
    decoder_blocks: int = 0,
    middle: str = "auto",
    latent_size: int = 0,
    latent_channels: int = 4,
    latent_conv: bool = False,
    norm_groups: int = 0,
    norm_eps: float = 1e-5,
    downsample_padding: str = "all",
    dtype: str = "float32",
) -> Autoencoder:
    """Build an autoencoder for images of `shape` (h, w, c).

    Args:
        variational: the encoder gives a log-variance beside the mean.
        channels, multipliers: level i has channels * multipliers[i] channels and maps
            of h / 2^i by w / 2^i pixels.
        num_blocks, decoder_blocks: residual blocks per level of the encoder and of the
            decoder; 0 of the decoder is as many.
        middle: after the coarsest level and before it, "attention" between two residual
            blocks, "residual" blocks alone, or "none"; "auto" is none.
        latent_size: length of a flat latent f32[b, latent_size]; 0 for a map.
        latent_channels: channels of a latent map f32[b, h', w', latent_channels] of the
            coarsest level's size; 0 for a flat latent.
        latent_conv: one more 1x1 convolution on each side of a latent map.
        norm_groups, norm_eps: see norms.Norm.
        downsample_padding: of convolutions that halve, "all" sides or the "far" ones.
        dtype: of the arithmetic, "float32" or "bfloat16"; parameters are float32.
    Returns: Autoencoder, with methods encode and decode.
    Errors:  ValueError for every combination that cannot be built.
    """
    shape, multipliers = tuple(shape), tuple(multipliers)
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype must be one of float32, bfloat16, got {dtype=}")
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels=}")
    check_levels(shape, channels, multipliers, num_blocks)
    if min(latent_size, latent_channels) < 0 or bool(latent_size) == bool(
        latent_channels
    ):
        raise ValueError(
            "exactly one of latent_size (a flat vector) and latent_channels (a map) "
            f"must be positive and the other 0, got {latent_size=}, {latent_channels=}"
        )
    if latent_conv and latent_size:
        raise ValueError(
            f"latent_conv is for a map, got {latent_conv=}, {latent_size=}"
        )
    if decoder_blocks < 0:
        raise ValueError(f"decoder_blocks cannot be negative, got {decoder_blocks=}")
    norm, sizes = check_norm(norm_groups, norm_eps), widths(channels, multipliers)
    for features in sizes:
        norm.count(features)
    return Autoencoder(
        shape=(shape[0], shape[1], shape[2]),
        sizes=tuple(sizes),
        num_blocks=num_blocks,
        num_latents=latent_size or latent_channels,
        flat=latent_size > 0,
        variational=variational,
        blocks=Blocks(
            dtype=jnp.dtype(dtype),
            norm=norm,
            downsample_padding=check_padding(downsample_padding),
            middle=check_middle(middle, "none"),
        ),
        decoder_blocks=decoder_blocks or num_blocks,
        latent_conv=latent_conv,
    )
