"""Group normalisation, always computed in float32."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float
from jaxdiff.models.sums import on_gpu, two_sums

__all__ = ["GroupNorm", "Norm", "check_norm", "normalize"]


class Norm(NamedTuple):
    """The numbers of a group norm.

    groups: their number; 0 is the largest divisor of the channels that is at most
            min(32, channels / 4): 32 for every width of the published networks, groups
            of about four channels in small ones
    eps:    what is added to the variance, in the square of the features' unit
    """

    groups: int = 0
    eps: float = 1e-5

    def count(self, channels: int) -> int:
        """The number of groups. Errors: ValueError if they do not divide channels."""
        if self.groups:
            if channels % self.groups:
                raise ValueError(
                    f"norm_groups={self.groups} must divide the channels of every "
                    f"level, and one has {channels}; 0 chooses a divisor for each"
                )
            return self.groups
        most = max(1, min(32, channels // 4))
        return next(n for n in range(most, 0, -1) if channels % n == 0)


def check_norm(norm_groups: int, norm_eps: float) -> Norm:
    """A Norm from a network's fields. Errors: ValueError if out of range."""
    if norm_groups < 0 or not 0 < norm_eps < 1:
        raise ValueError(
            f"need norm_groups >= 0 and 0 < norm_eps < 1, got {norm_groups=}, "
            f"{norm_eps=}"
        )
    return Norm(norm_groups, norm_eps)


def group_mean(x: Float[Array, "b c"], norm: Norm) -> Float[Array, "b c"]:
    """The mean over the channels of each group, written to every one of them."""
    b, c = x.shape
    n = norm.count(c)
    mean = x.reshape(b, n, c // n).mean(2, keepdims=True)  # (b, n, 1)
    return jnp.broadcast_to(mean, (b, n, c // n)).reshape(b, c)


@jax.custom_jvp
def moments(x: Float[Array, "b h w c"]) -> tuple[Float[Array, "b c"], ...]:
    """The first pixel, and the means over space of d and d^2, d = x - first.

    The first pixel only keeps d small where the mean is far from 0, so that differences
    of the two means stay exact. What is computed from all three does not depend on it,
    so it counts as a constant in derivatives.
    """
    first = x[:, 0, 0, :].astype(jnp.float32)  # (b, c)
    sums = two_sums(lambda x, first: (x - first, (x - first) ** 2), (x,), (first,))
    pixels = x.shape[1] * x.shape[2]
    return first, sums[0] / pixels, sums[1] / pixels


@moments.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    first, *means = moments(x)
    d, dx = x.astype(jnp.float32) - first[:, None, None, :], dx.astype(jnp.float32)
    slopes = dx.mean((1, 2)), 2 * (d * dx).mean((1, 2))
    return (first, *means), (jnp.zeros_like(first), *slopes)


def standardize(
    x: Float[Array, "b h w c"], norm: Norm, offset: Float[Array, "#b c"] | None = None
) -> tuple[Array, Array, Array, Array]:
    """Group norm as (x - first) mul + add, of the x returned: x, first, mul, add.

    On a CPU that x has mean 0 already, and squares are summed of it: a training step of
    a small U-Net takes .9 of the time it takes with `moments`.
    """
    if not on_gpu():
        x = x.astype(jnp.float32)
        x = x if offset is None else x + offset[:, None, None, :]
        x = x - group_mean(x.mean((1, 2)), norm)[:, None, None, :]
        mul = jax.lax.rsqrt(group_mean((x * x).mean((1, 2)), norm) + norm.eps)
        return x, jnp.zeros_like(mul), mul, jnp.zeros_like(mul)
    first, mean, square = moments(x)
    var = square - mean * mean  # of each channel
    from_group = mean + first + (0.0 if offset is None else offset)
    from_group = from_group - group_mean(from_group, norm)
    var = group_mean(var + from_group**2, norm)
    mul = jax.lax.rsqrt(var + norm.eps)
    return x, first, mul, (from_group - mean) * mul


def affine(
    swish: bool,
    dtype: Any,
    x: Float[Array, "b h w c"],
    first: Float[Array, "b c"],
    mul: Float[Array, "b c"],
    add: Float[Array, "b c"],
) -> Float[Array, "b h w c"]:
    """(x - first) mul + add, and swish of it, in float32."""
    first, mul, add = (v[:, None, None, :] for v in (first, mul, add))
    y = (x.astype(jnp.float32) - first) * mul + add
    return (nn.silu(y) if swish else y).astype(dtype)


# `affine` whose gradient keeps x alone, reads it twice and has no forward mode. On a
# CPU, which is slower to take an exponential than to read one, it would be slower.
affine_train = jax.custom_vjp(affine, nondiff_argnums=(0, 1))


def _forward(swish, dtype, *args):
    return affine(swish, dtype, *args), args


def _backward(swish, dtype, args, g):
    x, first, mul, add = args
    dy, _ = _slopes(swish, x, g, *(v[:, None, None, :] for v in args[1:]))
    dx = (dy * mul[:, None, None, :]).astype(x.dtype)
    d_add, d_mul = two_sums(partial(_slopes, swish), (x, g), (first, mul, add))
    return dx, -d_add * mul, d_mul, d_add


def _slopes(swish, x, g, first, mul, add):
    """The gradient in y = (x - first) mul + add, and the one in mul, of each pixel."""
    d, g = x.astype(jnp.float32) - first, g.astype(jnp.float32)
    if swish:
        y = d * mul + add
        s = jax.nn.sigmoid(y)
        g = g * s * (1 + y * (1 - s))
    return g, g * d


affine_train.defvjp(_forward, _backward)


def normalize(x: Float[Array, "b h w c"], norm: Norm) -> Float[Array, "b h w c"]:
    """Group normalisation without parameters, (x - mean) / sqrt(var + eps), f32."""
    return affine(False, jnp.float32, *standardize(x, norm))


class GroupNorm(nn.Module):
    """Group normalisation with a learned affine map, and optionally one from outside.

    y = (x + offset - mean) / sqrt(var + eps) scale + bias,  then  y (1 + gain) + shift,
    then, with `swish`, swish(y)

    mean and var are those of x + offset over space and the channels of a group. Two
    sums over the image give them, and two its gradient; all else is arithmetic on
    (b, c), into which the affine maps fold.
    Source: Wu & He 2018, arXiv:1803.08494.
    """

    dtype: Any = jnp.float32
    norm: Norm = Norm()
    swish: bool = False

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        gain: Float[Array, "b c"] | None = None,
        shift: Float[Array, "b c"] | None = None,
        offset: Float[Array, "#b c"] | None = None,
        train: bool = False,
    ) -> Float[Array, "b h w c"]:
        """With `train` a GPU's gradient is faster, and has no forward mode."""
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (c,))[None]  # (1, c)
        bias = self.param("bias", nn.initializers.zeros_init(), (c,))[None]  # (1, c)
        x, first, mul, add = standardize(x, self.norm, offset)
        mul, add = mul * scale, add * scale + bias  # (b, c)
        if gain is not None:
            gain = 1.0 + gain.astype(jnp.float32)
            mul, add = mul * gain, add * gain
        if shift is not None:
            add = add + shift.astype(jnp.float32)
        apply = affine_train if train and on_gpu() else affine
        return apply(self.swish, self.dtype, x, first, mul, add)  # (b, h, w, c)
