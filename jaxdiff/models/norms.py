"""Group normalisation, always computed in float32."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Float

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


def standardize(
    x: Float[Array, "b h w c"],
    norm: Norm,
    offset: Float[Array, "#b c"] | float = 0.0,
) -> tuple[Float[Array, "b h w c"], Float[Array, "b c"], Float[Array, "b c"]]:
    """(x + offset - mean) / sqrt(var + eps) as (d + gap) inv. Returns d, gap and inv.

    d is x less its first pixel. The sums of d and of d^2 over space are all that is
    read of the image; the rest is arithmetic on (b, c), and so is the derivative. The
    first pixel only keeps d small where the mean is far from 0, so that the difference
    of the two moments stays exact; it cancels, and is not differentiated. Channels are
    adjacent in memory, so a sum over space is a plain sum of vectors.
    """
    first = jax.lax.stop_gradient(x[:, 0, 0, :].astype(jnp.float32))  # (b, c)
    d = x.astype(jnp.float32) - first[:, None, None, :]
    m = d.mean((1, 2))  # (b, c)
    var = (d * d).mean((1, 2)) - m * m  # of each channel
    mean = m + first + offset
    from_mean = mean - group_mean(mean, norm)
    var = group_mean(var + from_mean**2, norm)
    return d, from_mean - m, jax.lax.rsqrt(var + norm.eps)


def normalize(x: Float[Array, "b h w c"], norm: Norm) -> Float[Array, "b h w c"]:
    """Group normalisation without parameters, (x - mean) / sqrt(var + eps), f32."""
    d, gap, inv = standardize(x, norm)
    return (d + gap[:, None, None, :]) * inv[:, None, None, :]


class GroupNorm(nn.Module):
    """Group normalisation with a learned affine map, and optionally one from outside.

    y = (x + offset - mean) / sqrt(var + eps) scale + bias,   then   y (1 + gain) + shift
    and swish(y) with `swish`

    mean and var are those of x + offset over space and the channels of a group. All of
    it is one pass over x for the moments and one for y.
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
        offset: Float[Array, "#b c"] | float = 0.0,
    ) -> Float[Array, "b h w c"]:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (c,))[None]  # (1, c)
        bias = self.param("bias", nn.initializers.zeros_init(), (c,))[None]  # (1, c)
        d, gap, mul = standardize(x, self.norm, offset)
        # All affine maps fold into one multiply and one add over the image.
        mul = mul * scale  # (b, c)
        add = gap * mul + bias
        if gain is not None:
            gain = 1.0 + gain.astype(jnp.float32)
            mul, add = mul * gain, add * gain
        if shift is not None:
            add = add + shift.astype(jnp.float32)
        y = d * mul[:, None, None, :] + add[:, None, None, :]
        return (nn.silu(y) if self.swish else y).astype(self.dtype)  # (b, h, w, c)
