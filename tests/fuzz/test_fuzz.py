"""A short campaign of made-up inputs, and that it sees what it looks for.

The long one: python -m tests.fuzz --num=20000
"""

import os
import time
import warnings

import numpy as np
import pytest

from jaxdiff.arrays import require
from tests.fuzz import campaign, kinds

NUM, SEED = 2000, 14
TOTAL = sum(kinds.SHARES.values())


@pytest.mark.parametrize("make", kinds.SHARES, ids=lambda make: make.__name__)
def test_every_input_is_accepted_or_refused_by_a_check(make):
    warnings.simplefilter("ignore")  # of numpy, for numbers that overflow
    num = max(1, round(NUM * kinds.SHARES[make] / TOTAL))
    row = campaign.run(make.__name__, make, num, SEED)
    assert row.faults == []
    assert row.refused > 0
    assert row.accepted > 0 or num < 100


def refuse():
    require(False, "no")


def crash():
    return [].pop()


FAULTS = {
    "none": (lambda folder: None, "accepted"),
    "a check": (lambda folder: refuse(), "refused"),
    "a library": (lambda folder: np.zeros(3).reshape(2), "not by a check: ValueError"),
    "another type": (lambda folder: crash(), "IndexError in tests.fuzz"),
    "a named file": (lambda folder: (folder / "none").read_text(), "refused"),
    "a file": (lambda folder: (folder / "x").write_text("x"), "writes files"),
    "code": (lambda folder: os.system("true"), r"does os.system"),
    "a hang": (lambda folder: time.sleep(9), "takes more than"),
    "a loop": (lambda folder: [0 for _ in iter(int, 1)], "takes more than"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seen(name, monkeypatch):
    monkeypatch.setattr(campaign, "LIMIT", 0.1)
    monkeypatch.setattr(campaign, "BUSY", 5)
    call, verdict = FAULTS[name]
    row = campaign.run("made", lambda rng, folder: ("", lambda: call(folder)), 1, 0)
    counts = {"accepted": row.accepted, "refused": row.refused}
    if verdict in counts:
        assert counts[verdict] == 1 and not row.faults
    else:
        (fault,) = row.faults
        assert f"-> {verdict}" in fault
