"""The array types of every signature, and the one way shapes are made to meet."""

from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped, UInt8

__all__ = [
    "Array",
    "Bool",
    "Float",
    "Int",
    "Key",
    "PyTree",
    "Shaped",
    "UInt8",
    "expand",
    "mean_of_each",
    "require",
]


def expand(a: Shaped[Array, "*b"], like: Shaped[Array, "*s"]) -> Shaped[Array, "*r"]:
    """Append axes of length one until `a` has the rank of `like`.

    A time is f32[] or f32[b]; both then multiply an f32[b, ...] without silent
    rank promotion (the suite runs with promotion forbidden).
    """
    return a.reshape(a.shape + (1,) * (like.ndim - a.ndim))


def mean_of_each(a: Float[Array, "b ..."]) -> Float[Array, "b"]:
    """The mean of each example's values."""
    return a.mean(axis=tuple(range(1, a.ndim)))


def require(condition: object, message: str) -> None:
    """Raise ValueError(message) unless the condition holds: how makers check arguments.

    Under `jax.vmap` or `jax.grad` of a maker the condition is a tracer, which cannot
    be looked at; then nothing is checked. Join conditions with `&`, not `and`.
    """
    if not isinstance(condition, Tracer) and not condition:
        raise ValueError(message)
