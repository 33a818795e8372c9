"""The average of independent values, and how far chance may have moved it."""

from typing import Any, NamedTuple

import numpy as np


class Average(NamedTuple):
    """value: the mean.  error: its standard error."""

    value: float
    error: float

    def named(self, name: str) -> dict[str, float]:
        """{NAME: value, NAME_error: error}, as results are written."""
        return {name: self.value, f"{name}_error": self.error}


def error_of_share(share: Any, num: int) -> np.ndarray:
    """The standard error of a share f[...] of `num` independent cases, as `average`
    has it: sqrt(p (1 - p) / (n - 1)).
    """
    p = np.asarray(share, np.float64)
    return np.sqrt(p * (1 - p) / max(num - 1, 1))


def average(values: Any, name: str = "values") -> Average:
    """The mean of f[n] and its standard error, std / sqrt(n), in float64; n >= 2.

    Errors: FloatingPointError for values that are not finite. name: theirs.
    """
    v = np.asarray(values, np.float64)
    bad = np.count_nonzero(~np.isfinite(v))
    if bad:
        raise FloatingPointError(f"{bad} of {len(v)} {name} are not finite")
    return Average(float(v.mean()), float(v.std(ddof=1) / np.sqrt(len(v))))


def floats(name: str, values: Any) -> dict[str, float]:
    """What the metric of that name gave. Errors: ValueError for no {name: number}."""
    try:
        return {str(key): float(value) for key, value in values.items()}
    except (AttributeError, TypeError, ValueError):
        text = f"the metric {name} must give {{name: number}}, got {values!r}"
        raise ValueError(text) from None
