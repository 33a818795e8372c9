"""Group normalisation, always computed in float32.

On a CUDA GPU kernels of our own compute it, and its gradient (norm_kernel.py).
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, Bool, Float
from jaxdiff.models import norm_kernel
from jaxdiff.models.backend import on_gpu
from jaxdiff.models.norm_kernel import Form, Rows

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


def plain(
    form: Form,
    x: Float[Array, "b h w c"],
    offset: Float[Array, "#b c"],
    mul: Float[Array, "#b c"],
    add: Float[Array, "#b c"],
    keep: Bool[Array, "b h w c"] | None = None,
) -> Float[Array, "b h w c"]:
    """Equations 1 and 2 of norm_kernel.py, by XLA alone. It has every derivative.

    It sums squares of what has mean 0 already: on a CPU a step of a small U-Net takes
    .9 of the time that it takes with both sums in one pass.
    """
    norm = Norm(form.groups, form.eps)
    x = x.astype(jnp.float32) + wide(offset)
    x = x - wide(group_mean(x.mean((1, 2)), norm))
    rstd = jax.lax.rsqrt(group_mean((x * x).mean((1, 2)), norm) + norm.eps)
    return _finish(form, x * wide(rstd * mul) + wide(add), keep)


def from_rows(form: Form, x: Array, rows: Rows, keep: Array | None) -> Array:
    """Equation 2, from what the kernels found."""
    y = x.astype(jnp.float32) * wide(rows.scale) + wide(rows.bias)
    return _finish(form, y, keep)


def _finish(form, y, keep):
    y = (nn.silu(y) if form.swish else y).astype(form.dtype)
    return y if keep is None else jnp.where(keep, y / form.share, jnp.zeros_like(y))


def wide(row: Float[Array, "b c"]) -> Float[Array, "b 1 1 c"]:
    """For arithmetic with images."""
    return row[:, None, None, :]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def both_modes(form, x, offset, mul, add, keep):
    """By the kernels; derivatives, in every mode, are those of `plain`."""
    return from_rows(form, x, norm_kernel.forward(form, x, offset, mul, add), keep)


@both_modes.defjvp
def _(form, primals, tangents):
    def with_keep(x, offset, mul, add):
        return plain(form, x, offset, mul, add, primals[-1])

    _, slope = jax.jvp(with_keep, primals[:-1], tangents[:-1])
    return both_modes(form, *primals), slope


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def reverse_mode(form, x, offset, mul, add, keep):
    """By the kernels, the gradient too. It has no forward mode."""
    return from_rows(form, x, norm_kernel.forward(form, x, offset, mul, add), keep)


def _forward(form, x, offset, mul, add, keep):
    rows = norm_kernel.forward(form, x, offset, mul, add)
    return from_rows(form, x, rows, keep), (x, offset, mul, add, keep, rows)


def _backward(form, kept, g):
    x, offset, mul, add, keep, rows = kept
    slopes = norm_kernel.backward(form, x, g, keep, mul, rows)
    of_y = wide(rows.scale), wide(rows.bias), wide(rows.center)
    dy, d = norm_kernel.slope(form, x, g, keep, of_y)
    dx = dy * wide(rows.scale) - d * wide(slopes.by_x) - wide(slopes.by_1)
    pairs = (slopes.offset, offset), (slopes.mul, mul), (slopes.add, add)
    sums = (d if len(v) == len(d) else d.sum(0, keepdims=True) for d, v in pairs)
    return dx.astype(x.dtype), *sums, None


reverse_mode.defvjp(_forward, _backward)


def group_norm(
    form: Form,
    x: Float[Array, "b h w c"],
    offset: Float[Array, "#b c"],
    mul: Float[Array, "#b c"],
    add: Float[Array, "#b c"],
    keep: Bool[Array, "b h w c"] | None = None,
    train: bool = False,
) -> Float[Array, "b h w c"]:
    """`plain`, by the kernels on a CUDA GPU where they fit.

    With `train` the gradient is theirs too, and there is no forward mode.
    """
    if not on_gpu() or not norm_kernel.fits(x.shape, form.groups):
        return plain(form, x, offset, mul, add, keep)
    arrays, rest = (x, offset, mul, add), (None,)
    if keep is not None:
        arrays, rest = (*arrays, keep), ()

    def by(f: Any) -> Any:
        return lambda *arrays: f(form, *arrays, *rest)

    kernel = by(reverse_mode if train else both_modes)
    return jax.lax.platform_dependent(*arrays, cuda=kernel, default=by(plain))


def normalize(x: Float[Array, "b h w c"], norm: Norm) -> Float[Array, "b h w c"]:
    """Group normalisation without parameters, (x - mean) / sqrt(var + eps), f32."""
    c = x.shape[-1]
    form = Form(norm.count(c), norm.eps, False, jnp.float32)
    zero, one = (jnp.full((1, c), value, jnp.float32) for value in (0.0, 1.0))
    return group_norm(form, x, zero, one, zero)


class GroupNorm(nn.Module):
    """Group normalisation with a learned affine map, and optionally one from outside.

    y = (x + offset - mean) / sqrt(var + eps) scale + bias,  then  y (1 + gain) + shift,
    then, with `swish`, swish(y),  then, with `keep`, dropout: y keep / (1 - dropout)

    mean and var are those of x + offset over space and the channels of a group.
    Source: Wu & He 2018, arXiv:1803.08494.
    """

    dtype: Any = jnp.float32
    norm: Norm = Norm()
    swish: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        gain: Float[Array, "b c"] | None = None,
        shift: Float[Array, "b c"] | None = None,
        offset: Float[Array, "#b c"] | None = None,
        keep: Bool[Array, "b h w c"] | None = None,
        train: bool = False,
    ) -> Float[Array, "b h w c"]:
        """With `train` a GPU's gradient is faster, and has no forward mode."""
        c = x.shape[-1]
        mul = self.param("scale", nn.initializers.ones_init(), (c,))[None]  # (1, c)
        add = self.param("bias", nn.initializers.zeros_init(), (c,))[None]  # (1, c)
        if gain is not None:
            gain = 1.0 + gain.astype(jnp.float32)
            mul, add = mul * gain, add * gain  # (b, c)
        if shift is not None:
            add = add + shift.astype(jnp.float32)
        offset = jnp.zeros((1, c), jnp.float32) if offset is None else offset
        offset, mul, add = (jnp.asarray(a, jnp.float32) for a in (offset, mul, add))
        n, share = self.norm.count(c), 1.0 - self.dropout
        form = Form(n, self.norm.eps, self.swish, self.dtype, share)
        return group_norm(form, x, offset, mul, add, keep, train)  # (b, h, w, c)
