"""The U-Nets DDPM++ and NCSN++ of the score SDE paper, as EDM trains them.

The published networks, without `shape` and `num_classes`, which depend on the data:

    CIFAR-10            channels=128, multipliers=(2, 2, 2), num_blocks=4,
                        attention=(16,)
    FFHQ, AFHQv2 64x64  the same with multipliers=(1, 2, 2, 2)

They differ from `unet.py` in that sums are scaled by sqrt(1/2), the stem is always
`channels` wide, the decoder attends after the last block of a level alone, and the
label enters before the embedding's layers. NCSN++ also feeds the image itself, halved
by convolutions, into each level of the encoder.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.models.blocks import Blocks, Residual
from jaxdiff.models.embeddings import expose, fourier, label_rows
from jaxdiff.models.encoder import Encoder, widths
from jaxdiff.models.norms import GroupNorm, Norm
from jaxdiff.models.remat import check_remat
from jaxdiff.models.resampling import INIT, conv
from jaxdiff.models.unet import check, check_inputs

__all__ = ["FAMILIES", "Family", "SongUNet", "make"]

HALF = math.sqrt(0.5)
# Standard deviation of the random frequencies, in periods per unit of t_feature.
FREQUENCY = 16.0


class Family(NamedTuple):
    """What distinguishes the two networks.

    random_waves: t enters at random frequencies, instead of DDPM's
    waves:        their number of sines and cosines, in units of `channels`
    image_path:   halved images are added to the maps, see encoder.Encoder
    taps:         of the filter that resamples, see resampling.filtered
    """

    random_waves: bool
    waves: int
    image_path: bool
    taps: tuple[int, ...]


FAMILIES = {
    "ddpmpp": Family(False, 1, False, (1, 1)),
    "ncsnpp": Family(True, 2, True, (1, 3, 3, 1)),
}


class Mapping(nn.Module):
    """One vector for the time t and, if there are classes, the label.

    waves = [sin, cos] of t at DDPM's frequencies, or of 2 pi f t with f ~ N(0, 16^2)
    emb = W2 swish(W1 (waves + W3 onehot(cond) sqrt(num_classes)))

    With `null_class`, label `num_classes` (or None) means "no label": the zero vector
    in place of onehot(cond). Any other label gives NaN. The frequencies f are among the
    parameters, but no gradient reaches them.
    """

    channels: int
    family: Family
    num_classes: int
    null_class: bool
    dtype: Any

    @nn.compact
    def __call__(
        self, t: Float[Array, "b"], cond: Int[Array, "b"] | None
    ) -> Float[Array, "b e"]:
        size, n = self.channels * self.family.waves, self.num_classes
        if self.family.random_waves:
            init = nn.initializers.normal(FREQUENCY)
            f = jax.lax.stop_gradient(self.param("frequencies", init, (size // 2,)))
            angle = t.astype(jnp.float32)[:, None] * (2 * math.pi * f)[None, :]
            emb = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
        else:
            emb = fourier(t, size)  # (b, size)
        if n:
            rows = label_rows(cond, len(t), n, self.null_class)
            table = math.sqrt(n) * jnp.eye(n + self.null_class, n)
            one_hot = jnp.take(table, rows, axis=0)  # outside the table: NaN
            emb = emb + self._dense(size, "label")(one_hot)
        emb = nn.silu(self._dense(4 * self.channels, "time_in")(emb))
        return self._dense(4 * self.channels, "time_out")(emb)  # (b, e)

    def _dense(self, features, name):
        return nn.Dense(features, kernel_init=INIT, dtype=self.dtype, name=name)


class SongUNet(nn.Module):
    """Encoder, middle, and a decoder that takes the encoder's maps in reverse.

    decoder, per level from the coarsest: (`num_blocks` + 1) x (concatenate a skip,
    residual) [attention], then up (except at the last) -> norm, swish, conv3

    The last convolution starts at zero, and with it the whole output. x has
    `in_channels` channels; the output has `out_channels` and is float32. With `train`
    and dropout > 0 the rng stream "dropout" is needed. `cond` is ignored without
    classes; see `Mapping` for labels.
    Source: Song et al. 2021, arXiv:2011.13456, appendix H; Karras et al. 2022,
    arXiv:2206.00364, appendix F, for its numbers.
    """

    in_channels: int
    out_channels: int
    channels: int
    multipliers: tuple[int | float, ...]
    num_blocks: int
    attention: tuple[int, ...]
    family: Family
    blocks: Blocks
    num_classes: int = 0
    null_class: bool = False

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
        labels = (self.num_classes, self.null_class, make.dtype)
        emb = Mapping(self.channels, self.family, *labels, name="conditioning")(t, cond)
        expose(self, emb)
        h, skips = Encoder(
            self.channels,
            self.multipliers,
            self.num_blocks,
            self.attention,
            make,
            stem=self.channels,
            image_path=self.family.image_path,
            name="encoder",
        )(x, emb, train)
        for i, features in reversed(list(enumerate(sizes))):
            for j in range(self.num_blocks + 1):
                h = jnp.concatenate([h, skips.pop()], axis=-1)
                h = make.res(features, f"res_{i}_{j}")(h, emb, train)
            if h.shape[1] in self.attention:
                h = make.attention(features, f"attention_{i}_{self.num_blocks}")(h)
            if i > 0:  # (b, h / 2^i, w / 2^i, f_i)
                h = make.res(features, f"up_{i}", "up")(h, emb, train)
        h = nn.silu(GroupNorm(make.dtype, make.norm, name="norm")(h))  # (b, h, w, f_0)
        out = conv(self.out_channels, 3, make.dtype, "out", zero=True)(h)
        return out.astype(jnp.float32)  # (b, h, w, o)


def make(
    *,
    shape: tuple[int, ...],
    num_classes: int = 0,
    family: str = "ddpmpp",
    channels: int = 128,
    multipliers: Sequence[int | float] = (2, 2, 2),
    num_blocks: int = 4,
    attention: Sequence[int] = (16,),
    dropout: float = 0.0,
    learned_variance: bool = False,
    null_class: bool = False,
    extra_channels: int = 0,
    dtype: str = "float32",
    remat: str = "none",
) -> SongUNet:
    """Build a SongUNet for images of `shape` (h, w, c); it also runs on other sizes.

    Args:
        shape, num_classes: of the data; 0 classes is an unconditional network.
        family: "ddpmpp" or "ncsnpp".
        channels, multipliers: level i has channels * multipliers[i] channels and maps
            of h / 2^i by w / 2^i pixels.  num_blocks: residual blocks per level.
        attention: heights of the feature maps that get attention, with one head. The
            middle always has it.
        dropout: share of features dropped in each block in training.
        learned_variance: doubles the output channels.
        null_class: one more label, number `num_classes`, which means "no label".
        extra_channels: channels of x beyond c, e.g. an image to condition on.
        dtype: of the arithmetic, "float32" or "bfloat16"; parameters are float32.
        remat: what blocks compute again in the backward pass, see remat.POLICIES.
    Returns: SongUNet, f(x, t f32[b], cond i32[b]) -> f32[b, h, w, c], or 2 c channels.
    Errors:  ValueError for every combination that cannot be built.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family=}")
    chosen = FAMILIES[family]
    check_inputs(num_classes, null_class, extra_channels, dtype)
    blocks = Blocks(
        embedding="add",
        resblock_updown=True,
        dropout=dropout,
        dtype=jnp.dtype(dtype),
        remat=check_remat(remat),
        norm=Norm(eps=1e-6),
        residual=Residual(HALF, project=True, taps=chosen.taps),
    )
    shape, multipliers, attention = tuple(shape), tuple(multipliers), tuple(attention)
    check(shape, channels, multipliers, num_blocks, attention, blocks)
    return SongUNet(
        in_channels=shape[-1] + extra_channels,
        out_channels=shape[-1] * (2 if learned_variance else 1),
        channels=channels,
        multipliers=multipliers,
        num_blocks=num_blocks,
        attention=attention,
        family=chosen,
        blocks=blocks,
        num_classes=num_classes,
        null_class=null_class,
    )
