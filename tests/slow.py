"""Which cases of a test the plain suite runs, and which only `pytest -m slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but(few: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """All cases. Those that are not among the few repeat, at length, what they show."""
    few, cases = list(few), list(cases)
    assert all(case in cases for case in few)
    slow = pytest.mark.slow
    return [case if case in few else pytest.param(case, marks=slow) for case in cases]
