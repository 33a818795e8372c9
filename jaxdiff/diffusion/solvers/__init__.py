"""Solvers: one file each, with `solvers.NAME.make(schedule)`, imported on first use."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    full = f"{__name__}.{name}"
    if not find_spec(full):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(full)
