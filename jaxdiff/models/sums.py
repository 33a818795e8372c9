"""Two sums over the pixels of every channel, in one pass over the images.

(1)  s_i = sum over h, w of term(*images, *vectors)[i],   i = 1, 2,   in float32

Group norm needs nothing else of its images, in its value and in its gradient. On a CUDA
GPU a Pallas kernel takes the sums. XLA's own reductions read bfloat16 at half the rate.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from jaxdiff.arrays import Array, Float

__all__ = ["on_gpu", "two_sums"]

Pair = tuple[Array, Array]
Term = Callable[..., Pair]

# Pixels of one program, and of one turn of its loop; channels of one program.
ROWS, TURN, WIDTH = 256, 32, 128


def on_gpu() -> bool:
    """Whether programs traced now are for a GPU, unless they name their platforms."""
    return jax.default_backend() == "gpu"


def two_sums(
    term: Term,
    images: Sequence[Float[Array, "b h w c"]],
    vectors: Sequence[Float[Array, "b c"]],
) -> Pair:
    """Both sums of equation 1, f32[b, c]. `term` is elementwise.

    The kernel has no derivative: the caller takes care of it.
    """
    plain = partial(_plain, term, len(images))
    h, w, c = images[0].shape[1:]
    if not on_gpu() or _divisor(h * w, ROWS) < 16 or _divisor(c, WIDTH) < 16:
        return plain(*images, *vectors)
    kernel = partial(_kernel, term, len(images))
    return jax.lax.platform_dependent(*images, *vectors, cuda=kernel, default=plain)


def _plain(term: Term, count: int, *arrays: Array) -> Pair:
    images, vectors = arrays[:count], arrays[count:]
    parts = term(
        *(a.astype(jnp.float32) for a in images),
        *(v[:, None, None, :] for v in vectors),
    )
    return parts[0].sum((1, 2)), parts[1].sum((1, 2))


def _kernel(term: Term, count: int, *arrays: Array, interpret: bool = False) -> Pair:
    """Each program sums ROWS pixels of WIDTH channels of one image; XLA adds those."""
    b, h, w, c = arrays[0].shape
    rows, width = _divisor(h * w, ROWS), _divisor(c, WIDTH)
    turn = min(rows, TURN)
    images = [a.reshape(b, h * w, c) for a in arrays[:count]]

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
            outs, jax.lax.fori_loop(0, rows // turn, add, (zero, zero)), strict=True
        ):
            ref[...] = total

    block = pl.BlockSpec((None, rows, width), lambda i, j, k: (i, j, k))
    row = pl.BlockSpec((None, width), lambda i, j, k: (i, k))
    part = pl.BlockSpec((None, None, width), lambda i, j, k: (i, j, k))
    sums = pl.pallas_call(
        body,
        grid=(b, h * w // rows, c // width),
        in_specs=[block] * count + [row] * (len(arrays) - count),
        out_specs=[part] * 2,
        out_shape=[jax.ShapeDtypeStruct((b, h * w // rows, c), jnp.float32)] * 2,
        interpret=interpret,
    )(*images, *arrays[count:])
    return sums[0].sum(1), sums[1].sum(1)


def _divisor(n: int, most: int) -> int:
    """The largest power of 2 that divides n, at most `most`, itself one."""
    return min(n & -n, most)
