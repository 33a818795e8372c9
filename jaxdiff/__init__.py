"""Diffusion models in JAX: schedules, predictions, guidance and solvers as values.

    import jaxdiff

    schedule = jaxdiff.schedules.cosine()
    solver = jaxdiff.solvers.heun.make(schedule)
    x = jaxdiff.sample(seeds, denoise, solver, ts, x_T)

The public names are those in `__init__.pyi`. Each is imported on first use, so that
`import jaxdiff` costs nothing, and a schedule needs neither flax nor a data set.
README.md is the introduction.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


@cache
def _homes() -> dict[str, str]:
    """The public names, each with the module that `__init__.pyi` imports it from."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text())
    return {
        alias.name: str(node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def __getattr__(name: str) -> Any:
    if name not in _homes():
        raise AttributeError(f"module 'jaxdiff' has no attribute {name!r}")
    home = _homes()[name]
    try:
        names = vars(import_module(home))
        return names[name] if name in names else import_module(f"{home}.{name}")
    except ModuleNotFoundError as error:  # of an extra: density's diffrax
        raise AttributeError(f"jaxdiff.{name} needs {error.name}") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes()})
