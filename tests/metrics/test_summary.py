"""The summary of generated columns, given others."""

import numpy as np

from jaxdiff.metrics import summary


def test_the_summary_by_hand():
    generated = {
        "width": np.arange(101.0),
        "kind": np.array(["a"] * 76 + ["b"] * 25),
    }
    real = {"width": np.array([0.0, 10.0, 20.0, 30.0])}
    given, shares, head, row = summary.describe("class = x", generated, real)
    assert given == "given class = x:"
    assert shares.split() == ["kind:", "a", "75.2%,", "b", "24.8%"]
    assert "of 4 real rows" in head
    assert row.split() == ["width", "50", "5", "50", "95", "75.0%"]
    assert len(summary.describe("class = x", generated, None)[-1].split()) == 5
