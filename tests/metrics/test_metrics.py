"""Every metric that is a file of its own: what launch.evaluate counts on."""

from importlib import import_module

import numpy as np
import pytest

import jaxdiff.metrics
from jaxdiff.choices import members

METRICS = members(jaxdiff.metrics)
KINDS = ("images", "tables")


def two_sets(kind, shift):
    """Two sets of 60 of one law, the second moved: features f[n, d], or columns."""
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, 60, 3))
    both = real, generated + shift
    return (
        both if kind == "images" else [dict(zip("abc", x.T, strict=True)) for x in both]
    )


@pytest.mark.parametrize("name", METRICS)
def test_two_laws_differ_by_numbers_with_names(name):
    """And gives the same again for the same seed."""
    kinds, compare = import_module(f"jaxdiff.metrics.{name}").DATA, METRICS[name]()
    assert kinds and {*kinds} <= {*KINDS}, f"DATA of {name} is of {KINDS}, got {kinds}"
    for kind in kinds:
        near, again, far = (compare(*two_sets(kind, by), 1) for by in (0.0, 0.0, 3.0))
        assert near == again and {*near} == {*far}
        assert all(isinstance(v, float) and np.isfinite(v) for v in near.values())
        apart = [abs(far[k] - near[k]) for k in near if not k.endswith("_error")]
        assert max(apart) > 0.1, f"{name} gives {near} for one law, {far} for two"
