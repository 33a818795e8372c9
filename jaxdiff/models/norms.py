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


def group_mean(x: Float[Array, "b h w c"], norm: Norm) -> Float[Array, "b c"]:
    """The mean over space and group, written to every channel of the group.

    The mean over space comes first. Channels are adjacent in memory, so that pass is a
    plain vector sum (on a CPU flax's norm takes two to three times as long), and its
    result is only (b, c).
    """
    b, c = x.shape[0], x.shape[-1]
    n = norm.count(c)
    mean = x.mean((1, 2)).reshape(b, n, c // n).mean(2, keepdims=True)  # (b, n, 1)
    return jnp.broadcast_to(mean, (b, n, c // n)).reshape(b, c)


def normalize(x: Float[Array, "b h w c"], norm: Norm) -> Float[Array, "b h w c"]:
    """Group normalisation without parameters, (x - mean) / sqrt(var + eps), f32."""
    x = x.astype(jnp.float32)
    x = x - group_mean(x, norm)[:, None, None, :]
    return x * jax.lax.rsqrt(group_mean(x * x, norm) + norm.eps)[:, None, None, :]


class GroupNorm(nn.Module):
    """Group normalisation with a learned affine map, and optionally one from outside.

    y = (x - mean) / sqrt(var + eps) scale + bias,   then   y (1 + gain) + shift

    mean and var are taken over space and the channels of a group.
    Source: Wu & He 2018, arXiv:1803.08494.
    """

    dtype: Any = jnp.float32
    norm: Norm = Norm()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        gain: Float[Array, "b c"] | None = None,
        shift: Float[Array, "b c"] | None = None,
    ) -> Float[Array, "b h w c"]:
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (c,))[None]  # (1, c)
        bias = self.param("bias", nn.initializers.zeros_init(), (c,))[None]  # (1, c)
        x = x.astype(jnp.float32)
        x = x - group_mean(x, self.norm)[:, None, None, :]
        var = group_mean(x * x, self.norm)
        mul = jax.lax.rsqrt(var + self.norm.eps) * scale  # (b, c)
        # Both affine maps fold into one multiply and one add over the image.
        if gain is not None:
            gain = 1.0 + gain.astype(jnp.float32)
            mul, bias = mul * gain, bias * gain
        if shift is not None:
            bias = bias + shift.astype(jnp.float32)
        y = x * mul[:, None, None, :] + bias[:, None, None, :]
        return y.astype(self.dtype)  # (b, h, w, c)
