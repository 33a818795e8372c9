"""What group norm needs of whole images, by kernels for CUDA GPUs.

(1)  u = (x + offset - mean) rstd,   rstd = (var + eps)^-1/2
(2)  y = u mul + add,  then swish, then dropout

mean and var need two sums over the pixels of every channel, and so does the gradient.
One kernel takes such sums: XLA's own reductions read bfloat16 at half the rate. Another
does all that follows and is (b, c): XLA needs a dozen small programs for it. What is
left, elementwise on images, is XLA's.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from jaxdiff.arrays import Array, Bool, Float, Shaped

triton: Any
try:
    from jax.experimental.pallas import triton
except ImportError:  # JAX 0.12 warns that a later one will lack it
    triton = None

__all__ = ["Form", "Rows", "Slopes", "backward", "fits", "forward", "slope"]

# Pixels of one program, and of one turn of its loop; channels of one program.
PIXELS, TURN, WIDTH = 256, 32, 128
WARPS = 4


class Form(NamedTuple):
    """What stays the same from call to call. share: of the values that dropout keeps"""

    groups: int
    eps: float
    swish: bool
    dtype: Any
    share: float = 1.0


class Rows(NamedTuple):
    """y = x scale + bias, and what the gradient needs; f32[b, c] each.

    center: the mean of the group, less the offset.  mean: of u over the channel
    """

    scale: Array
    bias: Array
    center: Array
    rstd: Array
    mean: Array


class Slopes(NamedTuple):
    """The gradient of x is dy scale - (x - center) by_x - by_1; f32[b, c] each."""

    by_x: Array
    by_1: Array
    offset: Array
    mul: Array
    add: Array


def fits(shape: Sequence[int], groups: int) -> bool:
    """Whether there are kernels, and for such images: sizes divide by powers of 2."""
    _, h, w, c = shape
    if triton is None:
        return False
    pixels, width = _divisor(h * w, PIXELS), _divisor(c, WIDTH)
    return min(pixels, width) >= 16 and c <= 4096 and c // groups <= 512


def forward(
    form: Form,
    x: Float[Array, "b h w c"],
    offset: Float[Array, "#b c"],
    mul: Float[Array, "#b c"],
    add: Float[Array, "#b c"],
    interpret: bool = False,
) -> Rows:
    """The rows of equations 1 and 2.

    Squares are summed of d = x - first, its distance from the first pixel: d is small
    where the mean is far from 0, so little is lost in the difference of the sums. More
    is lost where the first pixel itself is far from the others.
    """
    first = x[:, 0, 0, :].astype(jnp.float32)  # (b, c)
    pixels = x.shape[1] * x.shape[2]

    def term(x, first):
        return x - first, (x - first) ** 2

    def solve(mean_of, first, s1, s2, offset, mul, add):
        s1, s2 = s1 / pixels, s2 / pixels
        mean = s1 + first + offset
        from_group = mean - mean_of(mean)
        var = mean_of(s2 - s1 * s1 + from_group * from_group)
        rstd = jax.lax.rsqrt(var + form.eps)
        scale, center = rstd * mul, first + s1 - from_group
        return Rows(scale, add - center * scale, center, rstd, from_group * rstd)

    sums = _sums(term, [x], [first], interpret)
    args = first, *sums, offset, mul, add
    return _rows(Rows, solve, form.groups, args, interpret)


def slope(
    form: Form, x: Array, g: Array, keep: Array | None, rows: Sequence[Array]
) -> tuple[Array, Array]:
    """dy, the gradient in y of equation 2 before swish and dropout, and x - center.

    rows: scale, bias and center, which broadcast against x
    """
    scale, bias, center = rows
    x, dy = x.astype(jnp.float32), g.astype(jnp.float32)
    if keep is not None:
        dy = jnp.where(keep, dy / form.share, 0.0)
    if form.swish:
        y = x * scale + bias
        s = jax.nn.sigmoid(y)
        dy = dy * s * (1 + y * (1 - s))
    return dy, x - center


def backward(
    form: Form,
    x: Float[Array, "b h w c"],
    g: Float[Array, "b h w c"],
    keep: Bool[Array, "b h w c"] | None,
    mul: Float[Array, "#b c"],
    r: Rows,
    interpret: bool = False,
) -> Slopes:
    """From g, the gradient in y."""

    def term(*arrays):
        x, g, *kept, scale, bias, center = arrays
        kept = kept[0] != 0 if kept else None
        dy, d = slope(form, x, g, kept, (scale, bias, center))
        return dy, dy * d

    images = [x, g] if keep is None else [x, g, keep]
    pixels = x.shape[1] * x.shape[2]

    def solve(mean_of, s_add, s_mul, mul, rstd, mean):
        s_mul = s_mul * rstd
        from_mean, from_var = (
            mean_of(mul * s_add) / pixels,
            mean_of(mul * s_mul) / pixels,
        )
        offset = rstd * (mul * s_add - pixels * (from_mean + mean * from_var))
        return Slopes(rstd * rstd * from_var, rstd * from_mean, offset, s_mul, s_add)

    sums = _sums(term, images, [r.scale, r.bias, r.center], interpret)
    args = *sums, mul, r.rstd, r.mean
    return _rows(Slopes, solve, form.groups, args, interpret)


def _sums(
    term: Callable[..., tuple[Array, Array]],
    images: Sequence[Shaped[Array, "b h w c"]],
    rows: Sequence[Float[Array, "b c"]],
    interpret: bool,
) -> Sequence[Float[Array, "b p c"]]:
    """Both sums of term(*images, *rows), which is elementwise, in p parts of an image.

    Each program sums PIXELS pixels of WIDTH channels of one image.
    """
    b, h, w, c = images[0].shape
    pixels, width = _divisor(h * w, PIXELS), _divisor(c, WIDTH)
    turn, count = min(pixels, TURN), len(images)

    def body(*refs):
        ins, outs = refs[:-2], refs[-2:]
        vectors = [ref[...][None, :] for ref in ins[count:]]

        def add(i, sums):
            at = pl.dslice(i * turn, turn)
            parts = term(
                *(ref[at, :].astype(jnp.float32) for ref in ins[:count]), *vectors
            )
            return tuple(s + p.sum(0) for s, p in zip(sums, parts, strict=True))

        zero = jnp.zeros((width,), jnp.float32)
        for ref, total in zip(
            outs, jax.lax.fori_loop(0, pixels // turn, add, (zero, zero)), strict=True
        ):
            ref[...] = total

    block = pl.BlockSpec((None, pixels, width), lambda i, j, k: (i, j, k))
    row = pl.BlockSpec((None, width), lambda i, j, k: (i, k))
    part = pl.BlockSpec((None, None, width), lambda i, j, k: (i, j, k))
    return pl.pallas_call(
        body,
        grid=(b, h * w // pixels, c // width),
        in_specs=[block] * count + [row] * len(rows),
        out_specs=[part] * 2,
        out_shape=[jax.ShapeDtypeStruct((b, h * w // pixels, c), jnp.float32)] * 2,
        # this also chooses the compiler: JAX 0.10 takes another by itself
        compiler_params=triton.CompilerParams(num_warps=WARPS),
        interpret=interpret,
    )(*(a.reshape(b, h * w, c) for a in images), *rows)


def _rows(
    results: Any,
    formula: Callable[..., Sequence[Array]],
    groups: int,
    args: Sequence[Array],
    interpret: bool,
) -> Any:
    """results(*formula(mean_of, *args)), whose rows are f32[b, c].

    args: f32[b or 1, c], or f32[b, p, c], whose p parts are added first. Each program
    has one image, as (groups, channels of a group).
    """
    b, c = max(len(a) for a in args), args[0].shape[-1]
    size = c // groups

    def body(*refs):
        ins, outs = refs[: len(args)], refs[len(args) :]
        image, zero, empty = pl.program_id(0), jnp.int32(0), jnp.float32(0.0)
        group = jnp.arange(pl.next_power_of_2(groups))[:, None]
        channel = jnp.arange(pl.next_power_of_2(size))[None, :]
        at, inside = group * size + channel, (group < groups) & (channel < size)

        def read(ref):
            i = image if len(ref) > 1 else zero
            if ref.ndim == 2:
                return triton.load(ref.at[i, at], mask=inside, other=empty)

            def add(p, total):
                return total + triton.load(ref.at[i, p, at], mask=inside, other=empty)

            return jax.lax.fori_loop(
                0, ref.shape[1], add, jnp.zeros(at.shape, jnp.float32)
            )

        def mean_of(v):
            mean = jnp.where(inside, v, empty).sum(1, keepdims=True) / size
            return jnp.broadcast_to(mean, v.shape)

        for ref, value in zip(outs, formula(mean_of, *map(read, ins)), strict=True):
            triton.store(ref.at[image, at], value, mask=inside)

    rows = pl.pallas_call(
        body,
        grid=(b,),
        out_shape=[jax.ShapeDtypeStruct((b, c), jnp.float32)] * len(results._fields),
        compiler_params=triton.CompilerParams(num_warps=WARPS),
        interpret=interpret,
    )(*args)
    return results(*rows)


def _divisor(n: int, most: int) -> int:
    """The largest power of 2 that divides n, at most `most`, itself one."""
    return min(n & -n, most)
