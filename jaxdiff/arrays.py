"""The array types of all signatures, and the one way in which shapes are matched."""

from importlib.util import find_spec

import jax
from jax.core import Tracer
from jax.tree_util import Partial
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
    "as_value",
    "expand",
    "mean_of_each",
    "require",
    "require_extra",
]


def expand(a: Shaped[Array, "*b"], like: Shaped[Array, "*s"]) -> Shaped[Array, "*r"]:
    """Append axes of length one until `a` has the rank of `like`.

    A time is f32[] or f32[b]. After this it multiplies an f32[b, ...] without implicit
    rank promotion, which the tests forbid.
    """
    return a.reshape(a.shape + (1,) * (like.ndim - a.ndim))


def mean_of_each(a: Float[Array, "b ..."]) -> Float[Array, "b"]:
    """The mean over the values of each example, f[b, ...] -> f[b]."""
    return a.mean(axis=tuple(range(1, a.ndim)))


def as_value(tree: PyTree) -> PyTree:
    """The tree with a Partial for each plain function, which JAX takes as a value."""
    return jax.tree.map(lambda leaf: Partial(leaf) if callable(leaf) else leaf, tree)


def require(condition: object, message: str) -> None:
    """Raise ValueError(message) unless the condition holds; makers check arguments so.

    Under `jax.vmap` or `jax.grad` of a maker, the condition is a tracer without a
    value, and nothing is checked. Join conditions with `&`, not `and`.
    """
    if not isinstance(condition, Tracer) and not condition:
        raise ValueError(message)


def require_extra(what: str, module: str, extra: str) -> None:
    """Raise ValueError without a module that an extra of jaxdiff installs."""
    cure = f"pip install 'jaxdiff[{extra}]'"
    require(find_spec(module), f"{what} needs the package {module}: {cure}")
