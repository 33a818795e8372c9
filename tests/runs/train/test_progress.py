"""What is measured of samples as a run trains."""

import numpy as np
import pytest

from jaxdiff.data.batches import permutation
from jaxdiff.runs import workdir
from jaxdiff.runs.evaluate.features import features
from jaxdiff.runs.evaluate.metrics import METRICS, Sides
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.sampler import make_sampler
from jaxdiff.runs.train import loop as train
from jaxdiff.runs.train import progress
from jaxdiff.train.ema import primary
from tests.runs.conftest import (
    CLASSIFIER,
    IMAGES,
    assert_same,
    config_of,
    numbers,
    tiny_config,
    untrained,
)
from tests.runs.train.test_loop import interrupted

MEASURED = {"evaluate_every": 4, "num_evaluate": 30}


def test_a_run_is_measured_and_its_bits_stay_as_they_were(tmp_path, whole):
    run = train.prepare(tiny_config(**MEASURED), tmp_path / "run")
    with pytest.raises(RuntimeError):
        train.run(interrupted(run, 7, RuntimeError("power")))
    state = train.run(train.prepare(tiny_config(**MEASURED), tmp_path / "run"))
    assert_same(state, whole[2])
    name = "two_sample_accuracy"
    rows = numbers(tmp_path / "run")
    assert [row["step"] for row in rows if name in row] == [4, 8]
    for row, bare in zip(rows, numbers(whole[0]), strict=True):
        assert row | {name: 0} == bare | {name: 0}
    # the last, worked out apart
    sampler = make_sampler(run.config, run.source, run.task)
    labels = np.repeat(np.arange(2), 15).astype(np.int32)
    x = sampler.draw(primary(state.ema), 0, np.arange(30), labels)
    order = permutation(0, 0, 40)  # of as many real rows, the first of these
    sides = [run.source.decode(some) for some in (run.source[order]["x"], x)]
    found = METRICS["two_sample"].compute(Sides(*sides, None, None, 0))
    assert rows[-1][name] == pytest.approx(found[name], abs=0.05)
    assert (tmp_path / "run" / "progress.png").exists()
    assert not (whole[0] / "progress.png").exists()
    scene = plot.Scene(run.config, tmp_path / "run")
    (path,) = plot.draw(scene, "progress", tmp_path / "drawn")
    assert path.stat().st_size > 0
    bare = plot.Scene(tiny_config(), whole[0])
    assert "measured as it trained" in plot.misfit(bare, "progress")


def test_of_images_the_distances_that_the_metrics_give(judged, tmp_path):
    config = config_of(**{**IMAGES, "model__name": "speck"}, **MEASURED)
    config.train.judge, config.train.evaluate_steps = str(judged[0]), 2
    trained = untrained(config, tmp_path / "run")
    run = train.prepare(config, tmp_path / "run")
    assert run.measure
    found = run.measure(trained.params)
    labels = np.repeat(np.arange(3), 10).astype(np.int32)
    assert config.sampler.num_steps != 2
    config.sampler.num_steps = 2
    sampler = make_sampler(config, run.source, run.task)
    x = sampler.draw(trained.params, config.seed, np.arange(30), labels)
    judge = progress.judging.load_judge(judged[0])
    real = run.source.decode(run.source[np.arange(60)]["x"])
    made, real = (
        features(judge, np.round(v), 255.0) for v in (run.source.decode(x), real)
    )
    expected = METRICS["frechet"].compute(Sides(real, made, None, None, 0))
    assert found["frechet"] == pytest.approx(expected["frechet"], rel=1e-3)
    assert {*found} == {"frechet", "kernel", "kernel_error"}
    assert [*(tmp_path / "run" / "references").iterdir()]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (CLASSIFIER, "make data by themselves"),
        ({"train__num_evaluate": 1}, "num_evaluate must be >= 2"),
        ({**IMAGES, "model__name": "speck"}, "needs train.judge: the run of a class"),
        ({"train__steps_per_call": 8}, "evaluate_every=4 must be a multiple"),
    ],
)
def test_mistakes_are_found_before_any_work(fields, says, tmp_path):
    config = config_of(**{**MEASURED, **fields})
    if "train__steps_per_call" in fields:
        config.train.update({"log_every": 8, "checkpoint_every": 8})
    with pytest.raises(ValueError, match=says):
        train.prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_measured_may_change_when_a_run_goes_on(tmp_path, whole):
    config = tiny_config(**MEASURED, num_steps=12)
    workdir.check_same(whole[0], config)  # no error
