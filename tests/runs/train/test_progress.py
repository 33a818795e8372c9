"""What is measured of samples as a run trains."""

import numpy as np
import pytest

from jaxdiff.data.batches import permutation
from jaxdiff.metrics import frechet
from jaxdiff.runs import shared_pictures, workdir
from jaxdiff.runs.evaluate.features import load_extractor
from jaxdiff.runs.evaluate.metrics import METRICS, Pair
from jaxdiff.runs.experiment import open_run
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from jaxdiff.runs.train import loop, setup
from jaxdiff.train.ema import primary
from tests.runs.conftest import (
    CLASSIFIER,
    IMAGES,
    SPECK,
    assert_same,
    at,
    numbers,
    tiny_config,
    untrained,
)
from tests.runs.train.test_loop import interrupted

MEASURED = {"evaluate_every": 4, "num_evaluate": 30}


def test_a_run_is_measured_and_its_bits_stay_as_they_were(tmp_path, whole):
    prepared = setup.prepare(tiny_config(**MEASURED), tmp_path / "run")
    with pytest.raises(RuntimeError):
        loop.run(interrupted(prepared, 7, RuntimeError("power")))
    state = loop.run(at(prepared, tmp_path / "run"))
    assert_same(state, whole[2])
    name = "two_sample_accuracy"
    rows = numbers(tmp_path / "run")
    assert [row["step"] for row in rows if name in row] == [4, 8]
    for row, bare in zip(rows, numbers(whole[0]), strict=True):
        assert row | {name: 0} == bare | {name: 0}
    # the last, worked out apart
    run, labels = prepared.experiment, np.repeat(np.arange(2), 15).astype(np.int32)
    x = run.sampler().draw(primary(state.ema), 0, np.arange(30), labels)
    order = permutation(0, 0, 40)  # of as many real rows, the first of these
    pair = [run.source.decode(some) for some in (run.source[order]["x"], x)]
    got = METRICS["two_sample"].compute(Pair(*pair))
    assert rows[-1][name] == pytest.approx(got[name], abs=0.05)
    assert (tmp_path / "run" / "progress.png").exists()
    assert not (whole[0] / "progress.png").exists()
    request = PlotRequest(open_run(tmp_path / "run"))
    (path,) = plot.draw(request, "progress", tmp_path / "drawn")
    assert path.stat().st_size > 0
    bare = PlotRequest(open_run(whole[0]))
    assert "measured as it trained" in plot.misfit(bare, "progress")


def test_of_images_the_distances_that_the_metrics_give(classifier_run, tmp_path):
    config = tiny_config(**SPECK, **MEASURED)
    config.train.features, config.train.evaluate_steps = str(classifier_run[0]), 2
    run = untrained(config, tmp_path / "run")
    prepared = setup.prepare(config, tmp_path / "run")
    assert prepared.measure
    got = prepared.measure(run.params)
    labels = np.repeat(np.arange(3), 10).astype(np.int32)
    assert config.sampler.num_steps != 2
    sampler = run.with_sampler(num_steps=2).sampler()
    x = sampler.draw(run.params, config.seed, np.arange(30), labels)
    extractor = load_extractor(classifier_run[0])
    real = run.source.decode(run.source[np.arange(60)]["x"])
    moments = [
        frechet.fit(extractor.features(np.round(v), 255.0))
        for v in (run.source.decode(x), real)
    ]
    expected = frechet.distance(*moments)
    assert got["frechet"] == pytest.approx(expected, rel=1e-3)
    assert {*got} == {"frechet", "kid", "kid_error"}
    assert [*(tmp_path / "run" / "references").iterdir()]
    # a run in memory, of launch.bench or jaxdiff.fit, keeps no features
    in_memory = setup.prepare(config, None)
    assert in_memory.measure
    assert in_memory.measure(run.params) == got


def test_progress_is_drawn_of_older_logs(tmp_path):
    """KID had another name in metrics.jsonl."""
    rows = [
        {"step": step, "loss": 1.0, "frechet": 9.0 / step, "kernel": 0.1}
        for step in (4, 8)
    ]
    assert shared_pictures.measured(rows) == "frechet"
    shared_pictures.save_progress(tmp_path / "progress.png", rows)
    assert (tmp_path / "progress.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (CLASSIFIER, "evaluate_every=4: task 'classifier' does not take it"),
        (
            {**IMAGES, "model__name": "unet", "diffusion__low_size": 4},
            "make data by themselves",
        ),
        ({"train__num_evaluate": 1}, "num_evaluate must be at least 2"),
        (SPECK, "needs train.features: the run of a class"),
        ({"train__steps_per_call": 8}, "evaluate_every=4 must be a multiple"),
    ],
)
def test_mistakes_are_found_before_any_work(fields, message, tmp_path):
    config = tiny_config(**{**MEASURED, **fields})
    if "train__steps_per_call" in fields:
        config.train.update({"log_every": 8, "checkpoint_every": 8})
    with pytest.raises(ValueError, match=message):
        setup.prepare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_measured_may_change_when_a_run_resumes(tmp_path, whole):
    config = tiny_config(**MEASURED, num_steps=12)
    workdir.check_same(whole[0], config)  # no error


def test_pictures_before_the_first_line_of_the_log(whole, tmp_path):
    """There is no loss to draw yet, and training continues."""
    run = at(
        whole[1], tmp_path / "run", sample_every=2, log_every=8, checkpoint_every=8
    )
    assert int(loop.run(run).step) == 8
    assert (tmp_path / "run" / "loss.png").exists()
