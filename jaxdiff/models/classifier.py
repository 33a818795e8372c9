"""A classifier of noisy images: the encoder of the U-Net, then attention pooling.

The published network for 64x64 images, without `shape` and `num_classes`:

    ADM classifier  channels=128, multipliers=(1, 2, 3, 4), num_blocks=4,
                    attention=(32, 16, 8), num_heads=0, head_channels=64,
                    resblock_updown=True, time_embedding="cos_sin"
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, PyTree
from jaxdiff.models.attention import attend
from jaxdiff.models.blocks import Blocks
from jaxdiff.models.embeddings import Conditioning, check_style
from jaxdiff.models.encoder import Encoder
from jaxdiff.models.norms import GroupNorm, check_norm
from jaxdiff.models.remat import check_remat
from jaxdiff.models.resampling import INIT
from jaxdiff.models.unet import check

__all__ = ["AttentionPool", "Classifier", "make"]


class AttentionPool(nn.Module):
    """Pool all pixels into one vector: the mean pixel attends to all of them.

    tokens = [mean(x), x_1 ... x_n] + position;   out = attend(q(tokens_0), k, v)

    `position` is learned, so the size of the images is fixed by the first call.
    Source: Radford et al. 2021 (CLIP), arXiv:2103.00020; Dhariwal & Nichol 2021,
    arXiv:2105.05233.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
        b, h, w, c = x.shape
        x = x.reshape(b, h * w, c)
        x = jnp.concatenate([x.mean(1, keepdims=True), x], axis=1)  # (b, n + 1, c)
        init = nn.initializers.normal(c**-0.5)
        x = x + self.param("position", init, (h * w + 1, c))[None]
        qkv = nn.Dense(3 * c, kernel_init=INIT, dtype=self.dtype, name="qkv")(x)
        qkv = qkv.reshape(b, h * w + 1, 3, self.heads, c // self.heads)
        y = attend(qkv[:, :1, 0], qkv[:, :, 1], qkv[:, :, 2])  # (b, 1, heads, d)
        return y.reshape(b, c)


class Classifier(nn.Module):
    """log p(class | x_t, t) up to a constant: logits f32[b, num_classes].

    logits = W AttentionPool(swish(norm(Encoder(x_t, emb(t)))))

    With `features` it returns the pooled vector f32[b, c] instead, which Frechet
    distances compare. `cond` is ignored, since the label is what the network predicts.
    Source: Dhariwal & Nichol 2021, arXiv:2105.05233, section 4.
    """

    num_classes: int
    channels: int
    multipliers: tuple[int | float, ...]
    num_blocks: int
    attention: tuple[int, ...]
    blocks: Blocks
    time_embedding: str = "sin_cos"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        cond: PyTree = None,
        *,
        train: bool = False,
        features: bool = False,
    ) -> Float[Array, "b f"]:
        del cond
        make = self.blocks
        emb = Conditioning(
            self.channels,
            0,
            False,
            self.time_embedding,
            make.dtype,
            name="conditioning",
        )(t, None)  # (b, e)
        h, _ = Encoder(
            self.channels,
            self.multipliers,
            self.num_blocks,
            self.attention,
            make,
            name="encoder",
        )(x, emb, train)
        h = GroupNorm(make.dtype, make.norm, True, name="norm")(
            h, train=train
        )  # (b, h', w', c')
        heads = make.num_heads or h.shape[-1] // make.head_channels
        pooled = AttentionPool(heads, make.dtype, name="pool")(h)  # (b, c')
        # the network starts with equal probabilities
        zero = nn.initializers.zeros_init()
        logits = nn.Dense(self.num_classes, kernel_init=zero, name="out")(pooled)
        return (pooled if features else logits).astype(jnp.float32)


def make(
    *,
    shape: tuple[int, ...],
    num_classes: int,
    channels: int = 32,
    multipliers: Sequence[int | float] = (1, 2, 2),
    num_blocks: int = 1,
    attention: Sequence[int] = (),
    num_heads: int = 1,
    head_channels: int = 0,
    embedding: str = "scale_shift",
    resblock_updown: bool = True,
    conv_resample: bool = True,
    norm_groups: int = 0,
    norm_eps: float = 1e-5,
    downsample_padding: str = "all",
    dropout: float = 0.0,
    time_embedding: str = "sin_cos",
    dtype: str = "float32",
    remat: str = "none",
) -> Classifier:
    """Build a classifier for images of `shape` (h, w, c), with the fields of unet.make.

    Returns: Classifier, f(x_t, t) -> logits f32[b, num_classes].
    Errors:  ValueError for every combination that cannot be built, and without classes.
    """
    if num_classes < 2:
        raise ValueError(
            f"a classifier needs at least two classes, got {num_classes=}; use data "
            "with labels"
        )
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype must be one of float32, bfloat16, got {dtype=}")
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
    )
    shape, multipliers, attention = tuple(shape), tuple(multipliers), tuple(attention)
    check(shape, channels, multipliers, num_blocks, attention, blocks)
    return Classifier(
        num_classes=num_classes,
        channels=channels,
        multipliers=multipliers,
        num_blocks=num_blocks,
        attention=attention,
        blocks=blocks,
        time_embedding=check_style(time_embedding),
    )
