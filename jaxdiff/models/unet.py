"""The U-Net of DDPM, improved DDPM and ADM: one network with their choices as fields.

The published networks, without `shape` and `num_classes`, which depend on the data:

    DDPM CIFAR-10  channels=128, multipliers=(1, 2, 2, 2), num_blocks=2,
                   attention=(16,), num_heads=1, embedding="add", norm_eps=1e-6,
                   downsample_padding="far"
    improved DDPM  num_blocks=3, attention=(16, 8), num_heads=4, learned_variance=True
    ADM 64x64      channels=192, multipliers=(1, 2, 3, 4), num_blocks=3,
                   attention=(32, 16, 8), num_heads=0, head_channels=64,
                   resblock_updown=True, learned_variance=True, style cos_sin
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.models.blocks import Blocks, check_middle
from jaxdiff.models.embeddings import Conditioning, check_style, expose
from jaxdiff.models.encoder import Encoder, check_levels, widths
from jaxdiff.models.norms import GroupNorm, check_norm
from jaxdiff.models.remat import check_remat
from jaxdiff.models.resampling import Upsample, check_padding, conv

__all__ = ["UNet", "check", "check_inputs", "make"]


class UNet(nn.Module):
    """Encoder, middle, and a decoder that takes the encoder's maps in reverse.

    decoder, per level from the coarsest: (`num_blocks` + 1) x (concatenate a skip,
    residual [attention]), then up (except at the last) -> norm, swish, conv3

    The last convolution starts at zero, and with it the whole output. x has
    `in_channels` channels; the output has `out_channels` and is float32. With `train`
    and dropout > 0 the rng stream "dropout" is needed. `cond` is ignored without
    classes; see `Conditioning` for labels.
    Source: Ho et al. 2020, arXiv:2006.11239; Nichol & Dhariwal 2021, arXiv:2102.09672;
    Dhariwal & Nichol 2021, arXiv:2105.05233.
    """

    in_channels: int
    out_channels: int
    channels: int
    multipliers: tuple[int | float, ...]
    num_blocks: int
    attention: tuple[int, ...]
    blocks: Blocks
    num_classes: int = 0
    null_class: bool = False
    time_embedding: str = "sin_cos"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        cond: Int[Array, "b"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "b h w {self.out_channels}"]:
        if x.shape[-1] != self.in_channels:
            raise ValueError(
                f"the network reads {self.in_channels} channels, got {x.shape=}; "
                "extra_channels are concatenated to x by the caller"
            )
        make, sizes = self.blocks, widths(self.channels, self.multipliers)
        emb = Conditioning(
            self.channels,
            self.num_classes,
            self.null_class,
            self.time_embedding,
            make.dtype,
            name="conditioning",
        )(t, cond)  # (b, e)
        expose(self, emb)
        h, skips = Encoder(
            self.channels,
            self.multipliers,
            self.num_blocks,
            self.attention,
            make,
            name="encoder",
        )(x, emb, train)
        for i, features in reversed(list(enumerate(sizes))):
            for j in range(self.num_blocks + 1):
                h = jnp.concatenate([h, skips.pop()], axis=-1)
                h = make.res(features, f"res_{i}_{j}")(h, emb, train)
                if h.shape[1] in self.attention:
                    h = make.attention(features, f"attention_{i}_{j}")(h, train)
            if i > 0:  # (b, h / 2^i, w / 2^i, f_i)
                if make.resblock_updown:
                    h = make.res(features, f"up_{i}", "up")(h, emb, train)
                else:
                    h = Upsample(make.conv_resample, make.dtype, name=f"up_{i}")(h)
        norm = GroupNorm(make.dtype, make.norm, True, name="norm")
        h = norm(h, train=train)  # (b, h, w, f_0)
        out = conv(self.out_channels, 3, make.dtype, "out", zero=True)(h)
        return out.astype(jnp.float32)  # (b, h, w, o)


def check(
    shape: tuple[int, ...],
    channels: int,
    multipliers: tuple[int | float, ...],
    num_blocks: int,
    attention: tuple[int, ...],
    blocks: Blocks,
) -> None:
    """Check that the encoder can be built from these fields.

    Errors: ValueError, with the cure.
    """
    if channels < 4 or channels % 2:
        raise ValueError(f"channels must be even and at least 4, got {channels=}")
    check_levels(shape, channels, multipliers, num_blocks)
    heights = [shape[0] // 2**i for i in range(len(multipliers))]
    if not set(attention) <= set(heights):
        raise ValueError(
            f"attention must list heights of the feature maps, {heights}, got "
            f"{attention=}"
        )
    if blocks.embedding not in ("scale_shift", "add"):
        raise ValueError(
            f"embedding must be one of scale_shift, add, got {blocks.embedding=}"
        )
    if not 0.0 <= blocks.dropout < 1.0:
        raise ValueError(f"dropout must be in [0, 1), got {blocks.dropout=}")
    check_padding(blocks.downsample_padding)
    heads, width = blocks.num_heads, blocks.head_channels
    if min(heads, width) < 0 or (heads > 0) == (width > 0):
        raise ValueError(
            "exactly one of num_heads and head_channels must be positive and the "
            f"other 0, got num_heads={heads}, head_channels={width}"
        )
    sizes = widths(channels, multipliers)
    for f in sizes:
        blocks.norm.count(f)
    attended = {f for f, y in zip(sizes, heights, strict=True) if y in attention}
    if blocks.middle == "attention":
        attended.add(sizes[-1])
    for f in sorted(attended):
        if f % (heads or width):
            raise ValueError(
                f"{'num_heads' if heads else 'head_channels'} must divide the channels "
                f"of every level with attention and of the middle, got "
                f"{heads or width} for a level of {f} channels"
            )


def check_inputs(
    num_classes: int, null_class: bool, extra_channels: int, dtype: str
) -> None:
    """Check the fields that describe what a U-Net reads, and its arithmetic.

    Errors: ValueError, with the cure.
    """
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype must be one of float32, bfloat16, got {dtype=}")
    if min(num_classes, extra_channels) < 0:
        raise ValueError(
            "num_classes and extra_channels cannot be negative, got "
            f"{num_classes=}, {extra_channels=}"
        )
    if null_class and num_classes == 0:
        raise ValueError(
            f"null_class needs classes beside it, got {num_classes=}; set "
            "null_class=False or use data with labels"
        )


def make(
    *,
    shape: tuple[int, ...],
    num_classes: int = 0,
    channels: int = 64,
    multipliers: Sequence[int | float] = (1, 2, 2),
    num_blocks: int = 2,
    attention: Sequence[int] = (),
    num_heads: int = 1,
    head_channels: int = 0,
    embedding: str = "scale_shift",
    resblock_updown: bool = False,
    conv_resample: bool = True,
    norm_groups: int = 0,
    norm_eps: float = 1e-5,
    downsample_padding: str = "all",
    middle: str = "auto",
    dropout: float = 0.0,
    learned_variance: bool = False,
    null_class: bool = False,
    time_embedding: str = "sin_cos",
    extra_channels: int = 0,
    dtype: str = "float32",
    remat: str = "none",
) -> UNet:
    """Build a U-Net for images of `shape` (h, w, c); it also runs on other sizes.

    Args:
        shape, num_classes: of the data; 0 classes is an unconditional network.
        channels, multipliers: level i has channels * multipliers[i] channels and maps
            of h / 2^i by w / 2^i pixels.  num_blocks: residual blocks per level.
        attention: heights of the feature maps that get attention, e.g. (16, 8).
        num_heads, head_channels: number of heads, or their width; the other is 0.
        embedding: how t and the label enter residual blocks, "scale_shift" or "add".
        resblock_updown: resample inside residual blocks; otherwise in separate layers,
            with a 3x3 convolution if `conv_resample`.
        norm_groups, norm_eps: see norms.Norm.
        downsample_padding: of convolutions that halve, "all" sides or the "far" ones.
        middle: "attention" between two residual blocks, "residual" blocks alone, or
            "none"; "auto" is attention.
        dropout: share of features dropped in each block in training.
        learned_variance: doubles the output channels.
        null_class: one more label, number `num_classes`, which means "no label".
        time_embedding: "sin_cos" or "cos_sin", see `embeddings.fourier`.
        extra_channels: channels of x beyond c, e.g. an image to condition on.
        dtype: of the arithmetic, "float32" or "bfloat16"; parameters are float32.
        remat: what blocks compute again in the backward pass, see remat.POLICIES.
    Returns: UNet, f(x, t f32[b], cond i32[b]) -> f32[b, h, w, c], or 2 c channels.
    Errors:  ValueError for every combination that cannot be built.
    """
    check_inputs(num_classes, null_class, extra_channels, dtype)
    blocks = Blocks(
        embedding=embedding,
        resblock_updown=resblock_updown,
        conv_resample=conv_resample,
        num_heads=num_heads,
        head_channels=head_channels,
        dropout=dropout,
        dtype=jnp.dtype(dtype),
        remat=check_remat(remat),
        norm=check_norm(norm_groups, norm_eps),
        downsample_padding=downsample_padding,
        middle=check_middle(middle, "attention"),
    )
    shape, multipliers, attention = tuple(shape), tuple(multipliers), tuple(attention)
    check(shape, channels, multipliers, num_blocks, attention, blocks)
    return UNet(
        in_channels=shape[-1] + extra_channels,
        out_channels=shape[-1] * (2 if learned_variance else 1),
        channels=channels,
        multipliers=multipliers,
        num_blocks=num_blocks,
        attention=attention,
        blocks=blocks,
        num_classes=num_classes,
        null_class=null_class,
        time_embedding=check_style(time_embedding),
    )
