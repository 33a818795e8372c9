"""Networks of other libraries, which are pytrees: Equinox's, Flax NNX's, one's own.

    def make(*, shape, num_classes=0, null_class=False):  # mypkg/nets/mynet.py
        return PytreeNetwork(lambda key: MyNet(shape, key=key))

A config names the module: --config.model.name=mypkg.nets.mynet
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdiff.arrays import Array, PyTree

__all__ = ["PytreeNetwork"]


class PytreeNetwork(NamedTuple):
    """A module that is a pytree, with the two methods that a task needs.

    make_module: key -> the module, called as module(x f32[b, ...], t f32[b], cond).
                 Its leaves of floats are the parameters, whatever they are called.
                 Other leaves stay what they are for jax.random.key(0): functions, whole
                 numbers, and the keys of dropout, which is therefore the same each time
    """

    make_module: Callable[[Array], Any]

    def init(self, key: Array, x: Array, t: Array, cond: PyTree) -> dict[str, Any]:
        """{"params": {path: array}}."""
        del x, t, cond
        return {"params": _params(self.make_module(key))}

    def apply(
        self,
        variables: dict[str, Any],
        x: Array,
        t: Array,
        cond: PyTree = None,
        *,
        train: bool = False,
        rngs: Any = None,
    ) -> Array:
        """The module's output with these parameters."""
        del train, rngs
        params = variables["params"]
        with jax.ensure_compile_time_eval():  # of what is no parameter, while tracing
            module = self.make_module(jax.random.key(0))
        leaves, structure = jax.tree_util.tree_flatten_with_path(module)
        filled = [params.get(_name(path), leaf) for path, leaf in leaves]
        return jax.tree.unflatten(structure, filled)(x, t, cond)


def _params(module: Any) -> dict[str, Array]:
    leaves = jax.tree_util.tree_leaves_with_path(module)
    return {_name(path): leaf for path, leaf in leaves if _is_float(leaf)}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
