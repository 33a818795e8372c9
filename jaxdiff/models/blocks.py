"""The parts of a U-Net: residual block, attention, resampling (group norm: norms.py).

Parameters are always float32. `dtype` is that of the convolutions and matrix products;
norms and the softmax are computed in float32.
"""

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
    "Upsample",
    "check_padding",
    "conv",
    "double",
    "halve",
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


RESAMPLE = {"": lambda x: x, "down": halve, "up": double}


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


class ResBlock(nn.Module):
    """A residual block that may take an embedding, and may halve or double the image.

    h = conv3(R swish(norm x));   e = W swish(emb)
    "add":         h = conv3_0(drop swish(norm(h + e)))
    "scale_shift": h = conv3_0(drop swish(norm(h) (1 + e_1) + e_2)),   e = [e_1, e_2]
    no `emb`:      h = conv3_0(drop swish(norm(h)))
    out = S(R x) + h

    R resamples without parameters (`resample` is "", "down" or "up"). conv3_0 starts at
    zero. S is a 1x1 convolution if the width changes, and the identity otherwise.
    Source: Ho et al. 2020, arXiv:2006.11239 (add); Nichol & Dhariwal 2021,
    arXiv:2102.09672 (scale_shift); BigGAN, arXiv:1809.11096 (resampling inside).
    """

    features: int
    embedding: str = "scale_shift"
    resample: str = ""
    dropout: float = 0.0
    dtype: Any = jnp.float32
    norm: Norm = Norm()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        emb: Float[Array, "b e"] | None = None,
        train: bool = False,
    ) -> Float[Array, "b h2 w2 {self.features}"]:
        resample = RESAMPLE[self.resample]
        h = GroupNorm(self.dtype, self.norm, True, name="norm_in")(x, train=train)
        h, x = resample(h), resample(x)
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
        if x.shape[-1] != self.features:
            # A 1x1 convolution, which runs faster as a matrix product per pixel.
            x = nn.Dense(
                self.features, kernel_init=INIT, dtype=self.dtype, name="skip"
            )(x)
        return x + h  # (b, h, w, f)

    def _project(self, emb, times):
        features = self.features * times
        dense = nn.Dense(features, kernel_init=INIT, dtype=self.dtype, name="emb")
        return dense(nn.silu(emb))  # (b, times f)


class Attention(nn.Module):
    """Self-attention over pixels with a residual connection.

    out = x + W_0 attend(q, k, v),   [q, k, v] = W norm(x)

    W_0 starts at zero. The width of `qkv` is laid out as (3, heads, d): all queries,
    all keys, all values.
    Source: Ho et al. 2020, arXiv:2006.11239; arXiv:1706.03762, section 3.2.
    """

    heads: int
    dtype: Any = jnp.float32
    norm: Norm = Norm()

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
        return x + y.reshape(b, h, w, c)


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

    def res(self, features: int, name: str, resample: str = "") -> nn.Module:
        """A residual block, called with (x, emb, train) or with x alone."""
        make = nn.remat(ResBlock, static_argnums=(3,)) if self.remat else ResBlock
        block = (features, self.embedding, resample, self.dropout, self.dtype)
        return make(*block, self.norm, name=name)

    def attention(self, features: int, name: str) -> nn.Module:
        """Attention with `num_heads` heads, or with heads `head_channels` wide.

        Called with (x, train) or with x alone.
        """
        make = nn.remat(Attention, static_argnums=(2,)) if self.remat else Attention
        heads = self.num_heads or features // self.head_channels
        return make(heads, self.dtype, self.norm, name=name)
