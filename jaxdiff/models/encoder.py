"""The encoder of the U-Net, its way down and its middle; `unet.py` adds the decoder."""

from typing import Any

import flax.linen as nn

from jaxdiff.arrays import Array, Float
from jaxdiff.models.blocks import Blocks
from jaxdiff.models.resampling import INIT, Downsample, conv, filtered

__all__ = ["Encoder", "check_levels", "widths"]


def widths(channels: int, multipliers: tuple[int | float, ...]) -> list[int]:
    """The number of channels of each level, finest first."""
    return [int(channels * m) for m in multipliers]


def check_levels(
    shape: tuple[int, ...],
    channels: int,
    multipliers: tuple[int | float, ...],
    num_blocks: int,
) -> None:
    """Check that the levels can be built for `shape`.

    Errors: ValueError, with the cure.
    """
    if len(shape) != 3:
        raise ValueError(f"this network needs images (h, w, c), got {shape=}")
    if num_blocks < 1:
        raise ValueError(f"num_blocks must be at least 1, got {num_blocks=}")
    if not multipliers or any(m <= 0 or channels * m % 1 for m in multipliers):
        raise ValueError(
            "multipliers must be positive and give whole numbers of channels, got "
            f"{multipliers=} with {channels=}"
        )
    factor = 2 ** (len(multipliers) - 1)
    if shape[0] % factor or shape[1] % factor:
        raise ValueError(
            f"{len(multipliers)} levels halve the image {len(multipliers) - 1} times: "
            f"height and width must be multiples of {factor}, got {shape=}; pad or "
            "resize the images, or give fewer multipliers"
        )


class Encoder(nn.Module):
    """Stem, levels of residual blocks, each half the size of the last, and middle.

    stem conv3 -> per level: `num_blocks` x (residual [attention]), then down (except at
    the last level) -> residual, attention, residual

    Attention follows each residual block of the levels whose feature map has a *height*
    listed in `attention`; the middle is that of `blocks`. The stem has `stem` channels,
    or those of the first level. With `image_path` each down is followed by the sum

    h = y_i = (h + down(conv3 y_(i-1))) scale,   y_0 = x

    where `filtered` halves, and the scale is that of the residual blocks.

    Returns the output of the middle, and every feature map on the way, that of the stem
    first: the skips of a U-Net.
    """

    channels: int
    multipliers: tuple[int | float, ...]
    num_blocks: int
    attention: tuple[int, ...]
    blocks: Blocks
    stem: int = 0
    image_path: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], emb: Float[Array, "b e"], train: bool = False
    ) -> tuple[Float[Array, "b h2 w2 f"], list[Any]]:
        make, sizes = self.blocks, widths(self.channels, self.multipliers)
        h = conv(self.stem or sizes[0], 3, make.dtype, "stem")(x)  # (b, h, w, f)
        skips, image = [h], x
        for i, features in enumerate(sizes):
            for j in range(self.num_blocks):
                h = make.res(features, f"res_{i}_{j}")(h, emb, train)
                if h.shape[1] in self.attention:
                    h = make.attention(features, f"attention_{i}_{j}")(h, train)
                skips.append(h)  # (b, h / 2^i, w / 2^i, f_i)
            if i < len(sizes) - 1:
                if make.resblock_updown:
                    h = make.res(features, f"down_{i}", "down")(h, emb, train)
                else:
                    how = (make.conv_resample, make.dtype, make.downsample_padding)
                    h = Downsample(*how, name=f"down_{i}")(h)
                if self.image_path:
                    halved = self._halve(image, features, f"image_{i}")
                    h = image = (h + halved) * make.residual.scale
                skips.append(h)  # (b, h / 2^(i+1), w / 2^(i+1), f_i)
        return make.between(h, emb, train), skips

    def _halve(self, image, features, name):
        """conv3, which is padded by what the filter after it needs too."""
        taps, dtype = self.blocks.residual.taps, self.blocks.dtype
        padding = len(taps) // 2
        kernel = nn.Conv(
            features, (3, 3), padding=padding, kernel_init=INIT, dtype=dtype, name=name
        )
        return filtered(kernel(image), taps, "down", padding=0)
