"""What a measurement is repeated over, its rows and its picture."""

import json

import numpy as np
import pytest

from jaxdiff.apart import Failed
from jaxdiff.plots import growth as picture
from jaxdiff.runs.bench import growth
from jaxdiff.stopping import Stopped
from jaxdiff.train.timing import Spread
from tests.runs.conftest import tiny_config


def measured(config, *, num_runs, against, python):
    """Takes half a millisecond an example; 4 hidden channels are too few."""
    assert num_runs == 3 and not against and not python
    if config.model.hidden == 4:
        raise Failed("memory is exhausted")
    ms = config.train.batch_size / 2
    times = Spread(ms, 0.9 * ms, 1.2 * ms, 3)
    return {"jax": "1", "ms per step": times, "compile, s": 2.0, "memory, MiB": 1 / 8}


@pytest.fixture
def calls(monkeypatch):
    """Without processes; the list of (devices, batch size) that were measured."""
    made = []

    def run_apart(signals, devices, function, *args):
        if function is growth._check:
            return function(*args)
        (config,) = args
        made.append((devices, config.train.batch_size, config.model.hidden))
        return function(config)

    monkeypatch.setattr(growth, "run_apart", run_apart)
    monkeypatch.setattr(growth.jax.config, "update", lambda *_: None)
    monkeypatch.setitem(growth.BENCHES, "step", (measured, "ms per step"))
    return made


def test_rows_are_of_each_value_and_equal_configs_are_measured_once(calls, tmp_path):
    config = tiny_config(batch_size=8, cpu_devices=2)
    over = ["train.batch_size=16,8", "model.hidden=8,4"]
    rows = growth.bench_growth("step", config, over, [], 3, tmp_path)
    assert calls == [(2, 16, 8), (2, 8, 8), (2, 8, 4)]
    values = [(row["field"], row["value"]) for row in rows]
    assert values == [
        *(("train.batch_size", 16), ("train.batch_size", 8)),
        *(("model.hidden", 8), ("model.hidden", 4)),
    ]
    assert [row["ms per step"] and row["ms per step"].median for row in rows] == [
        *(8.0, 4.0, 4.0, None)
    ]
    assert [row["problem"] for row in rows] == ["", "", "", "memory is exhausted"]
    assert "jax" not in rows[0] and rows[0]["compile, s"] == 2.0
    stored = json.loads((tmp_path / "growth.json").read_text())
    assert stored["rows"][0]["ms per step"] == {
        "median": 8.0,
        "low": 7.2,
        "high": 9.6,
        "runs": 3,
    }
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_no_older_picture_stays_where_every_value_fails(calls, tmp_path):
    (tmp_path / "growth.png").write_text("of other numbers")
    over = ["model.hidden=4"]
    (row,) = growth.bench_growth("step", tiny_config(), over, [], 3, tmp_path)
    assert row["problem"] == "memory is exhausted"
    assert [path.name for path in tmp_path.iterdir()] == ["growth.json"]


def test_where_values_are_drawn():
    """Numbers at their place, shapes at their number of values, names side by side."""
    for values, names, places in (
        ([16, 4], ["16", "4"], [16, 4]),
        ([0.001, 2e6], ["0.001", "2e+06"], [0.001, 2e6]),
        ([(2, 3, 1), (4, 4, 1)], ["2x3x1", "4x4x1"], [6, 16]),
        ([(8, 8, 1), (4, 16, 1)], ["8x8x1", "4x16x1"], None),
        ([(1, 2), (1, 2, 2)], ["1x2", "1x2x2"], None),
        ([True, False], ["True", "False"], None),
        (["unet", "mlp"], ["unet", "mlp"], None),
    ):
        got, at = picture._places(values)
        assert got == names
        assert places is None if at is None else at.tolist() == places


def test_what_was_measured_before_a_signal_stays(calls, tmp_path, monkeypatch, capsys):
    measure = growth.run_apart

    def stop(signals, devices, function, *args):
        if len(calls) == 2:
            raise Stopped(15, "stopped")
        return measure(signals, devices, function, *args)

    monkeypatch.setattr(growth, "run_apart", stop)
    with pytest.raises(Stopped):
        over = ["train.batch_size=16,8,24"]
        growth.bench_growth("step", tiny_config(), over, [], 3, tmp_path)
    assert "2 of 3 values are in" in capsys.readouterr().err
    rows = json.loads((tmp_path / "growth.json").read_text())["rows"]
    assert [row["value"] for row in rows] == [16, 8]


def test_curves_keep_the_values_of_their_field():
    rows = [
        {"field": field, "value": value, "ms per step": 1.0, "memory, MiB": 2.0}
        for field, value in (
            *(("train.batch_size", 4), ("train.batch_size", 8)),
            *(("data.shape", (2, 3, 1)), ("model.name", "unet")),
        )
    ]
    panels = growth.panels("step", rows)
    assert [*panels] == ["ms per step", "memory, MiB"]
    x = {field: curve.x for field, curve in panels["ms per step"].items()}
    assert x == {
        "train.batch_size": [4, 8],
        "data.shape": [(2, 3, 1)],
        "model.name": ["unet"],
    }
    np.testing.assert_array_equal(
        panels["memory, MiB"]["train.batch_size"].high, [2, 2]
    )


@pytest.mark.parametrize(
    ("kind", "over", "message"),
    [
        (
            "step",
            ["sampler.num_steps=2,3"],
            "not depend on sampler.num_steps",
        ),
        ("forward", ["sampler.batch_size=2"], "does not depend on sampler.batch_size"),
        ("sample", ["train.batch_size=2"], "does not depend on train.batch_size"),
        ("step", ["train.batch_size=8"] * 2, "--over train.batch_size is given twice"),
        ("step", ["seed=1,2"], "--config.seed and --over seed set the same field"),
        ("step", ["train.batch_sise=8"], "did you mean 'train.batch_size'"),
        (
            "step",
            ["train.batch_size=0,8"],
            "train.batch_size must be at least 1, got 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_any_measurement(
    kind, over, message, calls, tmp_path
):
    with pytest.raises(ValueError, match=message):
        growth.bench_growth(kind, tiny_config(), over, ["seed"], 3, tmp_path)
    assert calls == [] and [*tmp_path.iterdir()] == []


def test_devices_are_a_value_for_samples_too():
    over = ["train.cpu_devices=1,2", "sampler.batch_size=4"]
    points = growth.make_points("sample", tiny_config(), over, [])
    assert [point.config.train.cpu_devices for point in points[:2]] == [1, 2]
