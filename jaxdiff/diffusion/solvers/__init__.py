"""Solvers: one file each, with `solvers.NAME.make(schedule)`, imported on first use."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def grid_of(name: str) -> Callable | None:
    """The grid that a solver's file states as GRID, a maker of grids.py, if any.

    A solver that states none runs on even steps in t.
    """
    return getattr(import_module(f"{__name__}.{name}"), "GRID", None)


def __getattr__(name: str) -> ModuleType:
    full = f"{__name__}.{name}"
    if not find_spec(full):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(full)
