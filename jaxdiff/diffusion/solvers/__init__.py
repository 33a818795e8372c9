"""Solvers: one file each, with `solvers.NAME.make(schedule)`, imported on first use."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def grid_of(make: Callable) -> Callable | None:
    """The grid that the file of a solver's `make` states as GRID, a maker of grids.py.

    A solver that states none runs on even steps in t.
    """
    return getattr(import_module(make.__module__), "GRID", None)


def __getattr__(name: str) -> ModuleType:
    full = f"{__name__}.{name}"
    if not find_spec(full):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(full)
