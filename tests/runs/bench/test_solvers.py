"""The table of solvers, of one solver and few samples."""

import json

import numpy as np
import pytest

from jaxdiff.choices import members
from jaxdiff.diffusion import schedules, solvers
from jaxdiff.diffusion.solvers import ddim, dpmpp_2m
from jaxdiff.runs.bench import solvers as bench_solvers


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(bench_solvers, "COUNT", 10_000)
    monkeypatch.setattr(bench_solvers, "STEPS", {1: 200, 2: 50})


def test_a_row_has_orders_of_every_schedule_and_both_laws(tmp_path, monkeypatch):
    one = {"dpmpp_2m": members(solvers)["dpmpp_2m"]}
    monkeypatch.setattr(
        bench_solvers, "members", lambda home: one if home is solvers else members(home)
    )
    (row,) = bench_solvers.bench_solvers(tmp_path)
    assert json.loads((tmp_path / "orders.json").read_text()) == [row]
    assert (tmp_path / "orders.png").exists()
    found = [row[name] for name in bench_solvers.SCHEDULES]
    np.testing.assert_allclose(found, 2.0, atol=0.1)
    assert row["predictions"] < 1e-3
    assert all(row[name] < 4 for name in bench_solvers.LAWS)


@pytest.mark.parametrize("name", [*bench_solvers.LAWS])
def test_samples_of_another_law_are_many_standard_errors_off(name):
    law, schedule = bench_solvers.LAWS[name], schedules.cosine()

    def score(solver, steps):
        return bench_solvers.law_score(
            law, solver.make(schedule), schedule, steps, seed=0
        )

    assert score(dpmpp_2m, 60) < 4
    assert score(ddim, 5) > 10
