"""The table of solvers, of one solver and few samples."""

import json

import numpy as np

from jaxdiff.choices import members
from jaxdiff.diffusion import solvers
from jaxdiff.runs.bench import solvers as bench_solvers


def test_a_row_has_orders_of_every_schedule_and_both_laws(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_solvers, "COUNT", 10_000)
    monkeypatch.setattr(bench_solvers, "STEPS", {1: 200, 2: 50})
    one = {"dpmpp_2m": members(solvers)["dpmpp_2m"]}
    monkeypatch.setattr(
        bench_solvers, "members", lambda home: one if home is solvers else members(home)
    )
    (row,) = bench_solvers.bench_solvers(tmp_path)
    assert json.loads((tmp_path / "orders.json").read_text()) == [row]
    assert (tmp_path / "orders.png").exists()
    got = [row[name] for name in bench_solvers.SCHEDULES]
    np.testing.assert_allclose(got, 2.0, atol=0.1)
    assert row["predictions"] < 1e-3
    assert row["normal, cosine"] < 4 and row["two modes, edm"] < 4
