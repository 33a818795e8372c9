"""The smallest U-Net that works: six convolutions, additive skips, no time input."""

import flax.linen as nn

from jaxdiff.arrays import Array, Float, Int
from jaxdiff.models.inits import fan_in_uniform
from jaxdiff.models.resampling import double

__all__ = ["BasicUNet", "make"]


def conv(x: Float[Array, "b h w c"], features: int, name: str) -> nn.Conv:
    """A 5x5 convolution of x with PyTorch's initialisation."""
    init = fan_in_uniform(25 * x.shape[-1])
    return nn.Conv(
        features, (5, 5), padding=2, kernel_init=init, bias_init=init, name=name
    )


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h/2 w/2 c"]:
    """Maximum over 2x2 windows.

    It is written as a reshape, because the backward pass of a reduce-window is far
    slower on a CPU.
    """
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


class BasicUNet(nn.Module):
    """Convolutions with 32, 64, 64 channels down and 64, 32, c up, each with swish.

    Max-pooling follows the first two convolutions. Before each of the last two, the map
    is doubled (nearest neighbour) and the map from before the pooling is added. One
    channel gives 309,057 parameters. `t` and `cond` are ignored: the network must infer
    from x how far x is from data. The last swish keeps the output above -0.28.

    Weights and biases start as PyTorch's, because published losses of this network are
    to be matched; flax's default initialisation gives other losses.
    Source: the Hugging Face diffusion course, unit 1, "Diffusion from scratch".
    """

    out_channels: int

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: Float[Array, "b"],
        cond: Int[Array, "b"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "b h w {self.out_channels}"]:
        del t, cond, train
        fine = nn.silu(conv(x, 32, "down_0")(x))  # (b, h, w, 32)
        y = max_pool(fine)  # (b, h/2, w/2, 32)
        middle = nn.silu(conv(y, 64, "down_1")(y))  # (b, h/2, w/2, 64)
        y = max_pool(middle)  # (b, h/4, w/4, 64)
        y = nn.silu(conv(y, 64, "down_2")(y))  # (b, h/4, w/4, 64)
        y = nn.silu(conv(y, 64, "up_0")(y))  # (b, h/4, w/4, 64)
        y = double(y) + middle  # (b, h/2, w/2, 64)
        y = nn.silu(conv(y, 32, "up_1")(y))  # (b, h/2, w/2, 32)
        y = double(y) + fine  # (b, h, w, 32)
        return nn.silu(conv(y, self.out_channels, "up_2")(y))  # (b, h, w, c)


def make(*, shape: tuple[int, ...], num_classes: int = 0) -> BasicUNet:
    """Build a BasicUNet for images of `shape` (h, w, c). Labels are ignored.

    Errors:  ValueError if height or width cannot be halved twice.
    """
    del num_classes
    shape = tuple(shape)
    if len(shape) != 3 or shape[0] % 4 or shape[1] % 4:
        raise ValueError(
            "a BasicUNet halves images (h, w, c) twice: height and width must be "
            f"multiples of 4, got {shape=}; pad or resize the images"
        )
    return BasicUNet(out_channels=shape[-1])
