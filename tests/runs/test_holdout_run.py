"""Runs that hold examples out: who reads which, and what remains of them."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiff
from jaxdiff.data import table
from jaxdiff.runs import workdir
from jaxdiff.runs.evaluate import run as evaluate
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.train import progress, setup
from tests.data.test_holdout import numbers
from tests.runs.conftest import CLASSIFIER, SPECK, tiny_config, untrained
from tests.runs.evaluate.test_run import REQUEST
from tests.runs.test_changed_data import draw, folder_config
from tests.runs.test_latents_run import codes_config, encoder_config

HELD = {"data__holdout": ".4"}


def rows(source):
    return source[np.arange(len(source))]["x"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held") / "run"
    return untrained(tiny_config(**SPECK, **HELD), folder)


def test_a_run_on_what_it_holds_out_is_the_same_otherwise(images):
    other = images.on_holdout()
    assert len(images.source) + len(other.source) == 60
    # by the hash of each image
    assert (numbers(images.source) >= 0.4).all() and (numbers(other.source) < 0.4).all()
    np.testing.assert_array_equal(rows(other.images), rows(images.source.holdout()))
    assert other.params is images.params and other.task is images.task
    plain = Experiment(tiny_config(**SPECK))
    assert plain.on_holdout() is plain


def test_real_examples_are_those_held_out(images, classifier_run, tmp_path, capsys):
    fields = {**REQUEST, "metrics": ["frechet", "bpd"], "features": classifier_run[0]}
    fields["num_bpd"], held = 5, len(images.source.holdout())
    evaluate.run(evaluate.prepare(images, out=tmp_path / "a", **fields), "command")
    text = f"real examples: {held}, held_out (data.holdout=.4)"
    assert text in capsys.readouterr().out
    record = json.loads((tmp_path / "a/evaluation.json").read_text())
    assert record["about"]["real"] == "held_out" and record["real_images"] == held
    assert record["bpd"]["num"] == 5
    request = evaluate.prepare(images, out=tmp_path / "b", real="training", **fields)
    assert len(request.reference.source) == 60 - held
    assert request.about["real"] == "training"
    # another choice is another evaluation, of bpd too
    with pytest.raises(ValueError, match="samples of another real"):
        evaluate.prepare(images, out=tmp_path / "a", real="training", **fields)


def test_the_measure_while_training_is_of_what_is_held_out(monkeypatch):
    pairs = []
    metric = progress.METRICS["two_sample"]
    kept = metric._replace(compute=lambda pair: pairs.append(pair) or {"a": 1.0})
    monkeypatch.setitem(progress.METRICS, "two_sample", kept)
    config = tiny_config(**HELD, evaluate_every=2, num_evaluate=4)
    run = Experiment(config)
    monkeypatch.setattr(
        type(run.sampler()), "draw", lambda *_: np.zeros((4, 2), np.float32)
    )
    assert progress.make_measure(run)(None) == {"a": 1.0}
    held = run.source.decode(rows(run.source.holdout()))
    real = {name: np.sort(values) for name, values in pairs[0].real.items()}
    for name, values in held.items():
        np.testing.assert_array_equal(real[name], np.sort(values))


def test_images_held_out_are_those_of_the_codes_held_out(tmp_path):
    untrained(encoder_config(), tmp_path / "one")
    run = Experiment(tiny_config(**HELD, **_codes(tmp_path / "one")), tmp_path / "two")
    held, images = run.source.holdout(), run.images.holdout()
    assert len(held) == len(images) and len(run.source) == len(run.images)
    assert len(held) + len(run.source) == 30 and (numbers(images) < 0.4).all()
    coder, (mean, std) = run.autoencoder.model, run.source.moments
    for codes, pixels in ((run.source, run.images), (held, images)):
        z = np.asarray(coder.encode(jnp.asarray(rows(pixels)))[0])
        np.testing.assert_allclose(rows(codes), (z - mean) / std, atol=1e-4)
    # moments are of what is trained on
    np.testing.assert_allclose(rows(run.source).mean((0, 1, 2)), 0, atol=1e-5)


def _codes(folder):
    config = codes_config(folder)
    names = ("data.name", "data.path", "data.standardise", "model.name")
    fields = {name.replace(".", "__"): config[name] for name in names}
    return fields | {"diffusion__condition": "none"}


def test_a_run_is_sampled_without_its_data_and_compared_with_them(tmp_path, capsys):
    path = tmp_path / "data"
    for k in range(10):
        draw(path / ("cat", "dog")[k % 2] / f"{k}.png", k)
    config = folder_config(path, **HELD, batch_size=4)
    untrained(Experiment(config).measured().config, tmp_path / "run")
    run = open_run(tmp_path / "run")
    kept = _kept(run, 10)
    assert len(kept) + len(run.source.holdout()) == 10
    assert capsys.readouterr().err == ""
    gone = tmp_path / "gone"
    shutil.move(path, gone)
    assert open_run(tmp_path / "run").sampler().nfe() == 3
    shutil.move(gone, path)
    # one of those held out changes: that is noted too
    held = sorted({*range(10)} - {*kept})[0]
    draw(path / ("cat", "dog")[held % 2] / f"{held}.png", 99)
    setup.prepare(config, tmp_path / "run")
    assert "has changed" in capsys.readouterr().err
    # with one more, those that were trained on still are
    draw(path / "cat" / "98.png", 98)
    assert {*kept} <= {*_kept(setup.prepare(config, tmp_path / "run").experiment, 100)}
    assert "(10 rows then, 11 now)" in capsys.readouterr().err


def _kept(run, n):
    """Which of the pictures draw() writes are trained on."""
    images = {draw_of(k).tobytes(): k for k in range(n)}
    return [images[x.astype(np.uint8).tobytes()] for x in run.pixels(rows(run.source))]


def draw_of(k):
    pixels = np.random.default_rng(k).integers(0, 256, (8, 8))
    return pixels.astype(np.uint8)[..., None]


def test_data_given_in_python_are_parted_too(tmp_path):
    values = np.random.default_rng(0).normal(3.0, 2.0, (50, 2)).astype(np.float32)
    fields = {"model.name": "mlp", "model.hidden": 4, "model.num_blocks": 1}
    fields |= {"train.batch_size": 8, "train.num_steps": 2, "data.holdout": ".2"}
    folder = tmp_path / "run"
    model = jaxdiff.fit(fields, data=values, workdir=folder)
    assert len(model.run.source) == 40 and len(model.run.source.holdout()) == 10
    assert "validation_loss" in workdir.read_metrics(folder)[-1]
    with pytest.raises(ValueError, match="of 51 examples, where the run began with 50"):
        jaxdiff.fit(fields, data=np.r_[values, values[:1]], workdir=folder)
    again = jaxdiff.load(folder, data=values).run
    np.testing.assert_array_equal(rows(again.source), rows(model.run.source))
    with pytest.raises(ValueError, match="names a split, and these data have none"):
        named = fields | {"data.holdout": "test"}
        jaxdiff.fit(named, data=values, workdir=tmp_path / "other")
    with pytest.raises(ValueError, match=r"data\.holdout='\.2' \(stored: ''\)|another"):
        plain = {k: v for k, v in fields.items() if k != "data.holdout"}
        jaxdiff.fit(plain, data=values, workdir=folder)


def test_a_classifier_of_all_the_data_may_guide(images, tmp_path):
    classifier = tiny_config(**CLASSIFIER)
    untrained(classifier, tmp_path / "classifier")
    run = images.with_sampler(classifier=str(tmp_path / "classifier"))
    run.sampler()


def test_table_units_of_a_stored_run_hold_for_what_is_held_out(tmp_path):
    values = {"x": np.arange(20.0), "y": np.arange(20.0)[::-1] ** 2}
    source = table.from_columns(values)
    config = tiny_config(**HELD)
    folder = tmp_path / "run"
    run = untrained(config, folder, source=source)
    again = open_run(folder, None, source)
    np.testing.assert_array_equal(rows(again.source), rows(run.source))
    held = again.source.decode(rows(again.source.holdout()))
    kept = again.source.decode(rows(again.source))
    assert sorted([*held["x"], *kept["x"]]) == [*range(20)]
