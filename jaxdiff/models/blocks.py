"""The blocks of a U-Net: residual block and attention.

Parameters are always float32. `dtype` is that of the convolutions and matrix products;
norms and the softmax are computed in float32.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Bool, Float
from jaxdiff.models.attention import attend
from jaxdiff.models.norms import GroupNorm, Norm
from jaxdiff.models.remat import rematerialised
from jaxdiff.models.resampling import INIT, ZERO, conv, resampled

__all__ = ["Attention", "Blocks", "ResBlock", "Residual", "check_middle"]

# What a middle consists of; "auto" is left to the network.
MIDDLES = ("attention", "residual", "none")


def check_middle(middle: str, auto: str) -> str:
    """The middle, `auto` for "auto". Errors: ValueError if it is none of MIDDLES."""
    if middle not in ("auto", *MIDDLES):
        raise ValueError(
            f"middle must be one of auto, {', '.join(MIDDLES)}, got {middle=}"
        )
    return auto if middle == "auto" else middle


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
        return y, jnp.asarray(bias)[None]


class Keep(nn.Module):
    """Which values dropout keeps, from the rng stream "dropout"."""

    dropout: float

    @nn.compact
    def __call__(self, shape: tuple[int, ...]) -> Bool[Array, "..."]:
        return jax.random.bernoulli(self.make_rng("dropout"), 1 - self.dropout, shape)


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
        norm = GroupNorm(self.dtype, self.norm, True, self.dropout, name="norm_out")
        keep = None
        if train and self.dropout > 0:
            # by this name it draws what nn.Dropout drew: old runs resume
            keep = Keep(self.dropout, name="Dropout_0")(h.shape)
        h = norm(h, gain, shift, bias, keep, train)  # (b, h, w, f)
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
    remat: str = "none"
    norm: Norm = Norm()
    downsample_padding: str = "all"
    middle: str = "attention"
    residual: Residual = Residual()

    def res(self, features: int, name: str, resample: str = "") -> nn.Module:
        """A residual block, called with (x, emb, train) or with x alone."""
        make = rematerialised(ResBlock, self.remat, 3)
        block = (features, self.embedding, resample, self.dropout, self.dtype)
        return make(*block, self.norm, self.residual, name=name)

    def attention(self, features: int, name: str) -> nn.Module:
        """Attention with `num_heads` heads, or with heads `head_channels` wide.

        Called with (x, train) or with x alone.
        """
        make = rematerialised(Attention, self.remat, 2)
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
