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


def average(values: Any, name: str = "values") -> Average:
    """The mean of f[n] and its standard error, std / sqrt(n), in float64; n >= 2.

    Errors: FloatingPointError for values that are not finite. name: theirs.
    """
    v = np.asarray(values, np.float64)
    bad = np.count_nonzero(~np.isfinite(v))
    if bad:
        raise FloatingPointError(f"{bad} of {len(v)} {name} are not finite")
    return Average(float(v.mean()), float(v.std(ddof=1) / np.sqrt(len(v))))
