"""The arguments of `sampling.sample`, checked before it is traced.

Errors give the code to write instead.
Inside a trace the values of times are unknown, and only shapes and types are checked.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType, MethodType, ModuleType
from typing import Any, ParamSpec

import jax
import numpy as np
from jax.core import Tracer

from jaxdiff.arrays import require
from jaxdiff.diffusion.types import Denoised, Solver

P = ParamSpec("P")

# What a leaf of a denoiser may be.
ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)
# How the parameters of a module become leaves, by the library that the module is of.
APPLY = {
    "flax.nnx": (
        "graph, params = nnx.split(net)",
        "nnx.merge(graph, p)(x, c.t)",
    ),
    "equinox": (
        "params, static = eqx.partition(net, eqx.is_array)",
        "eqx.combine(p, static)(x, c.t)",
    ),
    "": ("params = net.init(...)", "net.apply(p, x, c.t)"),
}


def checked(sample: Callable[P, Any]) -> Callable[P, Any]:
    """`sample` with its arguments checked.

    Errors: ValueError with the code to write instead.
    """

    @wraps(sample)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        _check(**inspect.signature(sample).bind(*args, **kwargs).arguments)
        return sample(*args, **kwargs)

    return call


def check_denoised(den: Any, denoise: Any) -> None:
    """Check what a denoiser returns. Errors: ValueError if it is no Denoised."""
    require(
        isinstance(den, Denoised),
        f"denoise must return jaxdiff.Denoised(x0), got {_name(den)}; {_cure(denoise)}",
    )


def _check(
    seeds: Any,
    denoise: Any,
    solver: Any,
    ts: Any,
    x_T: Any,
    cond: Any = None,
    trace: bool = False,
) -> None:
    del cond, trace
    _check_solver(solver)
    _check_denoiser(denoise)
    _check_times(ts)
    require(
        len(np.shape(x_T)) > 1,
        f"x_T must be (b, ...), a row for each sample, got shape {np.shape(x_T)}",
    )
    num, raw = np.shape(x_T)[0], getattr(seeds, "dtype", None) == np.uint32
    shape = np.shape(seeds)[:-1] if raw else np.shape(seeds)
    require(
        hasattr(seeds, "dtype") and shape == (num,),
        f"seeds must be one key for each of the {num} samples, got {_name(seeds)} of "
        f"shape {np.shape(seeds)}: write jax.random.split(jax.random.key(0), {num})",
    )


def _check_times(ts: Any) -> None:
    require(
        hasattr(ts, "dtype") and len(ts.shape) == 1 and ts.shape[0] > 1,
        "ts must be an array of two or more times that fall, as jaxdiff.grids.uniform("
        f"schedule, 50) gives, got {_name(ts)} of shape {np.shape(ts)}",
    )
    if isinstance(ts, Tracer):
        return
    times = np.asarray(ts)
    steps = np.diff(times)
    cure = ": write ts[::-1]" if (steps > 0).all() else ""
    require(
        (steps < 0).all() and times[0] <= 1 and times[-1] >= 0,
        f"ts must fall, from at most 1 (noise) to at least 0 (data), got {times[0]:g} "
        f"to {times[-1]:g}{cure}",
    )


def _check_solver(solver: Any) -> None:
    if isinstance(solver, Solver):
        return
    cure = "jaxdiff.solvers.ddim.make(schedule)"
    if isinstance(solver, ModuleType):
        cure = f"{solver.__name__.replace('.diffusion', '')}.make(schedule)"
    elif isinstance(solver, FunctionType):
        cure = f"{solver.__name__}(schedule)"
    raise ValueError(
        f"solver must be a solver made for a schedule, got {_name(solver)}: write "
        f"{cure}"
    )


def _check_denoiser(denoise: Any) -> None:
    require(
        callable(denoise),
        "denoise must be a denoiser, (x_t, t, cond) -> jaxdiff.Denoised, got "
        f"{_name(denoise)}; {_cure(denoise)}",
    )
    for leaf in jax.tree.leaves(denoise):
        require(
            isinstance(leaf, ARRAYS),
            f"denoise must be a tree of arrays, got {_name(leaf)}; {_cure(leaf)}",
        )
    try:
        inspect.signature(denoise).bind("x_t", "t", "cond")
    except TypeError as error:
        raise ValueError(
            f"denoise is called with (x_t, t, cond), and {_name(denoise)} takes others "
            f"({error}); {_cure(denoise)}"
        ) from None


def _cure(value: Any) -> str:
    """How a function, or a network, becomes a denoiser."""
    if type(value).__module__ in ("builtins", "functools", "jaxlib._jax") and callable(
        value
    ):
        return f"write jax.tree_util.Partial({getattr(value, '__name__', 'f')})"
    homes = [base.__module__ for base in type(value).__mro__]
    names = [name for name in APPLY if name and any(h.startswith(name) for h in homes)]
    params, call = APPLY[names[0] if names else ""]
    return (
        f"of a network write {params}; net = jax.tree_util.Partial(lambda p, x, c, "
        f"cond: {call}, params); jaxdiff.make_denoise(net, schedule=..., "
        "prediction=...)"
    )


def _name(value: Any) -> str:
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}"
    if isinstance(value, FunctionType | MethodType):
        return f"the function {value.__name__}"
    if isinstance(value, jax.Array | np.ndarray):
        return "an array"
    library, name = type(value).__module__.split(".")[0], type(value).__name__
    return name if library == "builtins" else f"{library}'s {name}"
