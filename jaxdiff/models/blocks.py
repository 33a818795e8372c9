"""The parts of a U-Net: residual block, attention, resampling (group norm: norms.py).

Parameters are always float32. `dtype` is that of the convolutions and matrix products;
norms and the softmax are computed in float32.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.models.attention import attend
from jaxdiff.models.norms import GroupNorm, Norm

__all__ = [
    "Attention",
    "Blocks",
    "Downsample",
    "ResBlock",
    "Residual",
    "Upsample",
    "check_middle",
    "check_padding",
    "conv",
    "double",
    "filtered",
    "halve",
]

# Variance 1 / mean(fan_in, fan_out), uniform, as in DDPM; biases start at zero.
INIT = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")
ZERO = nn.initializers.zeros_init()


# By which a 3x3 convolution of stride 2 is padded, before and behind each axis.
PADDINGS = {"all": (1, 1), "far": (0, 1)}

# What a middle consists of; "auto" is left to the network.
MIDDLES = ("attention", "residual", "none")


def check_padding(downsample_padding: str) -> str:
    """The padding as it is. Errors: ValueError if it is none of PADDINGS."""
    if downsample_padding not in PADDINGS:
        raise ValueError(
            f"downsample_padding must be one of {', '.join(PADDINGS)}, got "
            f"{downsample_padding=}"
        )
    return downsample_padding


def check_middle(middle: str, auto: str) -> str:
    """The middle, `auto` for "auto". Errors: ValueError if it is none of MIDDLES."""
    if middle not in ("auto", *MIDDLES):
        raise ValueError(
            f"middle must be one of auto, {', '.join(MIDDLES)}, got {middle=}"
        )
    return auto if middle == "auto" else middle


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


class SplitConv(nn.Module):
    """A 3x3 convolution without its bias, and the bias.

    A norm that follows adds it to its means, which are (b, c): the image is not read
    again for the sum or, in the gradient, for the reduction.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"]
    ) -> tuple[
        Float[Array, "b h w {self.features}"], Float[Array, "1 {self.features}"]
    ]:
        kernel = self.param("kernel", INIT, (3, 3, x.shape[-1], self.features))
        bias = self.param("bias", ZERO, (self.features,))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        dims = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), [(1, 1)] * 2, dimension_numbers=dims
        )
        return y, bias[None]


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


class Residual(NamedTuple):
    """How a block's input is added to what the block makes of it.

    scale:   of their sum; sqrt(1/2) keeps the variance that both have
    project: a 1x1 convolution of the input also where only the image's size changes
    taps:    of the filter that resamples, see `filtered`
    """

    scale: float = 1.0
    project: bool = False
    taps: tuple[int, ...] = (1, 1)


class ResBlock(nn.Module):
    """A residual block that may take an embedding, and may halve or double the image.

    h = conv3(R swish(norm x));   e = W swish(emb)
    "add":         h = conv3_0(drop swish(norm(h + e)))
    "scale_shift": h = conv3_0(drop swish(norm(h) (1 + e_1) + e_2)),   e = [e_1, e_2]
    no `emb`:      h = conv3_0(drop swish(norm(h)))
    out = (S(R x) + h) scale

    R resamples without parameters (`resample` is "", "down" or "up"). conv3_0 starts at
    zero. S is a 1x1 convolution if the width changes, and the identity otherwise; see
    Residual for another S, R and scale.
    Source: Ho et al. 2020, arXiv:2006.11239 (add); Nichol & Dhariwal 2021,
    arXiv:2102.09672 (scale_shift); BigGAN, arXiv:1809.11096 (resampling inside).
    """

    features: int
    embedding: str = "scale_shift"
    resample: str = ""
    dropout: float = 0.0
    dtype: Any = jnp.float32
    norm: Norm = Norm()
    residual: Residual = Residual()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        emb: Float[Array, "b e"] | None = None,
        train: bool = False,
    ) -> Float[Array, "b h2 w2 {self.features}"]:
        how = (self.resample, self.residual.taps)
        h = GroupNorm(self.dtype, self.norm, True, name="norm_in")(x, train=train)
        h, x = resampled(h, *how), resampled(x, *how)
        h, bias = SplitConv(self.features, self.dtype, name="conv_in")(h)
        gain = shift = None
        if emb is not None and self.embedding == "scale_shift":
            gain, shift = jnp.split(self._project(emb, 2), 2, axis=-1)  # (b, f) each
        elif emb is not None:
            bias = bias + self._project(emb, 1)  # (b, f)
        norm = GroupNorm(self.dtype, self.norm, True, name="norm_out")
        h = norm(h, gain, shift, bias, train)  # (b, h, w, f)
        h = nn.Dropout(self.dropout)(h, deterministic=not train)
        h = conv(self.features, 3, self.dtype, "conv_out", zero=True)(h)
        if x.shape[-1] != self.features or (self.residual.project and self.resample):
            # A 1x1 convolution, which runs faster as a matrix product per pixel.
            x = nn.Dense(
                self.features, kernel_init=INIT, dtype=self.dtype, name="skip"
            )(x)
        return (x + h) * self.residual.scale  # (b, h, w, f)

    def _project(self, emb, times):
        features = self.features * times
        dense = nn.Dense(features, kernel_init=INIT, dtype=self.dtype, name="emb")
        return dense(nn.silu(emb))  # (b, times f)


class Attention(nn.Module):
    """Self-attention over pixels with a residual connection.

    out = (x + W_0 attend(q, k, v)) scale,   [q, k, v] = W norm(x)

    W_0 starts at zero. The width of `qkv` is laid out as (3, heads, d): all queries,
    all keys, all values.
    Source: Ho et al. 2020, arXiv:2006.11239; arXiv:1706.03762, section 3.2.
    """

    heads: int
    dtype: Any = jnp.float32
    norm: Norm = Norm()
    residual: Residual = Residual()

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], train: bool = False
    ) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        y = GroupNorm(self.dtype, self.norm, name="norm")(x, train=train)
        y = y.reshape(b, h * w, c)  # (b, n, c)
        qkv = nn.Dense(3 * c, kernel_init=INIT, dtype=self.dtype, name="qkv")(y)
        qkv = qkv.reshape(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        y = attend(q, k, v, train)  # (b, n, heads, d)
        y = y.reshape(b, h * w, c)
        y = nn.Dense(c, kernel_init=ZERO, dtype=self.dtype, name="out")(y)
        return (x + y.reshape(b, h, w, c)) * self.residual.scale


class Blocks(NamedTuple):
    """The choices that all blocks of one network share."""

    embedding: str = "scale_shift"
    resblock_updown: bool = False
    conv_resample: bool = True
    num_heads: int = 1
    head_channels: int = 0
    dropout: float = 0.0
    dtype: Any = jnp.float32
    remat: bool = False
    norm: Norm = Norm()
    downsample_padding: str = "all"
    middle: str = "attention"
    residual: Residual = Residual()

    def res(self, features: int, name: str, resample: str = "") -> nn.Module:
        """A residual block, called with (x, emb, train) or with x alone."""
        make = nn.remat(ResBlock, static_argnums=(3,)) if self.remat else ResBlock
        block = (features, self.embedding, resample, self.dropout, self.dtype)
        return make(*block, self.norm, self.residual, name=name)

    def attention(self, features: int, name: str) -> nn.Module:
        """Attention with `num_heads` heads, or with heads `head_channels` wide.

        Called with (x, train) or with x alone.
        """
        make = nn.remat(Attention, static_argnums=(2,)) if self.remat else Attention
        heads = self.num_heads or features // self.head_channels
        return make(heads, self.dtype, self.norm, self.residual, name=name)

    def between(self, h: Float[Array, "b h w f"], *args: Any) -> Array:
        """The middle of the network that calls this, after the coarsest level.

        args: for its residual blocks, (emb, train) or none
        """
        if self.middle == "none":
            return h
        features = h.shape[-1]
        h = self.res(features, "middle_in")(h, *args)
        if self.middle == "attention":
            h = self.attention(features, "middle_attention")(h, *args[1:])
        return self.res(features, "middle_out")(h, *args)
