"""Inception-v3 as FID is defined with: 2048 features of an image.

    x in [0, 1] -> show: three channels, 299x299, [-1, 1]
      -> stem (35, 35, 192) -> 3 of A (35, 35, 288) -> B, 4 of C (17, 17, 768)
      -> D, 2 of E (8, 8, 2048) -> mean: features f[2048] -> logits f[1008]

The parts have the names of the published weights (pt_inception-2015-12-05), so the path
of a parameter here is its name there (interop/inception.py). That network was trained
in 2015 and differs from today's Inception-v3: the mean over 3x3 pixels counts only
pixels inside the image, the last block has a maximum instead of that mean, and there
are 1008 outputs.
Source: Szegedy et al. 2015, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float, PyTree

__all__ = ["CLASSES", "FEATURES", "SIDE", "Inception", "show"]

SIDE, FEATURES, CLASSES = 299, 2048, 1008


def show(x: Float[Array, "b h w c"]) -> Float[Array, "b 299 299 3"]:
    """The network's input for images in [0, 1] of any size, grey or coloured: 2 y - 1.

    y is x, resized bilinearly between pixel centres, with the edge continued outwards
    and no smoothing before it is made smaller. This matches torch's F.interpolate(x,
    (299, 299), mode="bilinear", align_corners=False), on which published distances
    depend.

    Errors: ValueError unless there are 1 or 3 channels.
    """
    b, _, _, c = x.shape
    if c not in (1, 3):
        raise ValueError(f"Inception takes images of 1 or 3 channels, got {c}")
    y = jax.image.resize(x, (b, SIDE, SIDE, c), "linear", antialias=False)
    return 2 * jnp.broadcast_to(y, (b, SIDE, SIDE, 3)) - 1


class Conv(nn.Module):
    """relu(norm(conv(x))), where norm uses the statistics stored in training."""

    width: int
    size: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        stride = (self.stride, self.stride)
        # accelerators round the factors by default, which would change every feature
        conv = partial(nn.Conv, use_bias=False, precision=jax.lax.Precision.HIGHEST)
        x = conv(self.width, self.size, stride, self.padding, name="conv")(x)
        norm = nn.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")
        return nn.relu(norm(x))


def _reduce(width, size, name):
    """A convolution of stride 2 without padding."""
    return Conv(width, (size, size), 2, "VALID", name=name)


def _chain(x, name, *parts):
    """Convolutions name_1, name_2, ... in a row; parts are (width, (height, width))."""
    for i, (width, size) in enumerate(parts, 1):
        x = Conv(width, size, name=f"{name}_{i}")(x)
    return x


def _join(*branches):
    return jnp.concatenate(branches, axis=-1)


def _mean(x):
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _max(x):
    return nn.max_pool(x, (3, 3), padding="SAME")


def _halve(x):
    return nn.max_pool(x, (3, 3), (2, 2))


class A(nn.Module):
    """A block at 35x35. pooled: the channels of the branch with the pooling."""

    pooled: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        return _join(
            Conv(64, (1, 1), name="branch1x1")(x),
            _chain(x, "branch5x5", (48, (1, 1)), (64, (5, 5))),
            _chain(x, "branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
            Conv(self.pooled, (1, 1), name="branch_pool")(_mean(x)),
        )


class B(nn.Module):
    """A block that halves the size, from 35x35 to 17x17."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        twice = _chain(x, "branch3x3dbl", (64, (1, 1)), (96, (3, 3)))
        return _join(
            _reduce(384, 3, "branch3x3")(x),
            _reduce(96, 3, "branch3x3dbl_3")(twice),
            _halve(x),
        )


class C(nn.Module):
    """A block at 17x17. inner: the channels between row and column convolutions."""

    inner: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        n, point, row, column = self.inner, (1, 1), (1, 7), (7, 1)
        once = ((n, point), (n, row), (192, column))
        twice = ((n, point), (n, column), (n, row), (n, column), (192, row))
        return _join(
            Conv(192, point, name="branch1x1")(x),
            _chain(x, "branch7x7", *once),
            _chain(x, "branch7x7dbl", *twice),
            Conv(192, point, name="branch_pool")(_mean(x)),
        )


class D(nn.Module):
    """A block that halves the size, from 17x17 to 8x8."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        small = _chain(x, "branch3x3", (192, (1, 1)))
        large = _chain(x, "branch7x7x3", (192, (1, 1)), (192, (1, 7)), (192, (7, 1)))
        return _join(
            _reduce(320, 3, "branch3x3_2")(small),
            _reduce(192, 3, "branch7x7x3_4")(large),
            _halve(x),
        )


class E(nn.Module):
    """A block at 8x8. pool: the mean, or in the last block the maximum."""

    pool: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        once = _chain(x, "branch3x3", (384, (1, 1)))
        twice = _chain(x, "branch3x3dbl", (448, (1, 1)), (384, (3, 3)))
        row, column = (1, 3), (3, 1)
        return _join(
            Conv(320, (1, 1), name="branch1x1")(x),
            Conv(384, row, name="branch3x3_2a")(once),
            Conv(384, column, name="branch3x3_2b")(once),
            Conv(384, row, name="branch3x3dbl_3a")(twice),
            Conv(384, column, name="branch3x3dbl_3b")(twice),
            Conv(192, (1, 1), name="branch_pool")(self.pool(x)),
        )


class Inception(nn.Module):
    """Logits f32[b, 1008] of images in [0, 1]; with `features`, f32[b, 2048] instead.

    logits = W features, without the trained bias: Inception scores have been computed
    this way since they were defined. `t` and `cond` are ignored, since the images are
    clean.
    Source: Salimans et al. 2016, arXiv:1606.03498, whose code leaves the bias out.
    """

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        t: PyTree = None,
        cond: PyTree = None,
        *,
        features: bool = False,
    ) -> Float[Array, "b f"]:
        del t, cond
        x = show(x)
        x = _reduce(32, 3, "Conv2d_1a_3x3")(x)  # (b, 149, 149, 32)
        x = Conv(32, (3, 3), padding="VALID", name="Conv2d_2a_3x3")(x)
        x = _halve(Conv(64, (3, 3), name="Conv2d_2b_3x3")(x))  # (b, 73, 73, 64)
        x = Conv(80, (1, 1), name="Conv2d_3b_1x1")(x)
        x = Conv(192, (3, 3), padding="VALID", name="Conv2d_4a_3x3")(x)
        x = _halve(x)  # (b, 35, 35, 192)
        for letter, pooled in zip("bcd", (32, 64, 64), strict=True):
            x = A(pooled, name=f"Mixed_5{letter}")(x)
        x = B(name="Mixed_6a")(x)  # (b, 17, 17, 768)
        for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True):
            x = C(inner, name=f"Mixed_6{letter}")(x)
        x = D(name="Mixed_7a")(x)  # (b, 8, 8, 1280)
        x = E(_mean, name="Mixed_7b")(x)
        x = E(_max, name="Mixed_7c")(x)
        x = x.mean(axis=(1, 2))
        linear = nn.Dense(CLASSES, use_bias=False, precision="highest", name="fc")
        logits = linear(x)
        return x if features else logits
