"""The summary of the free columns, given the others."""

import numpy as np

from jaxdiff.data.given import GivenColumns
from jaxdiff.runs.sample import columns


def test_the_summary_by_hand():
    generated = {
        "width": np.arange(101.0),
        "kind": np.array(["a"] * 76 + ["b"] * 25),
        "class": np.array(["x"] * 101),
    }
    real = {"width": np.array([0.0, 10.0, 20.0, 30.0])}
    some = GivenColumns({"class": "x"}, np.zeros((1, 4)), np.ones(4, bool))
    given, shares, head, row = columns.describe(some, generated, real)
    assert given == "given class = x:"
    assert shares.split() == ["kind:", "a", "75.2%,", "b", "24.8%"]
    assert "of 4 real rows" in head
    assert row.split() == ["width", "50", "5", "50", "95", "75.0%"]
    assert len(columns.describe(some, generated, None)[-1].split()) == 5
