"""A metric that is a file: what it is for, and what it gives."""

import sys
from types import ModuleType

import numpy as np
import pytest

from jaxdiff.data import table
from jaxdiff.runs.evaluate import metrics

ROWS = table.from_columns({"u": np.linspace(-1, 1, 5)})


def metric(monkeypatch, values, **fields):
    """The metric of a file whose function gives `values`."""
    file = ModuleType("mine")
    monkeypatch.setitem(sys.modules, "mine", file)

    def make():
        return lambda real, generated, seed: values

    make.__module__ = "mine"
    vars(file).update(fields)
    return metrics._of_file("mine", make)


def test_its_values_are_floats(monkeypatch):
    made = metric(monkeypatch, {"mine": np.float32(0.5)}, DATA=("tables",))
    values = made.compute(metrics.Pair())
    assert values == {"mine": 0.5} and type(values["mine"]) is float


@pytest.mark.parametrize("values", [0.5, None, {"mine": None}, {"mine": [1.0, 2.0]}])
def test_other_results_are_an_error_that_names_it(values, monkeypatch):
    made = metric(monkeypatch, values, DATA=("tables",))
    with pytest.raises(ValueError, match=r"metric mine must give .name: number., got"):
        made.compute(metrics.Pair())


def test_a_file_without_data_is_an_error_only_where_it_is_chosen(monkeypatch):
    monkeypatch.setitem(metrics.METRICS, "mine", metric(monkeypatch, {}))
    how = {"labelled": False, "given": False}
    assert "mine" not in metrics.choose([], ROWS, None, **how)
    with pytest.raises(ValueError, match="--metrics=mine lacks DATA"):
        metrics.choose(["mine"], ROWS, None, **how)
