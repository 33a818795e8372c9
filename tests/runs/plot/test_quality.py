"""Pictures of how good samples are: what they show, and of which samples."""

import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from PIL import Image

from jaxdiff import rng
from jaxdiff.diffusion.types import Denoised
from jaxdiff.metrics import frechet
from jaxdiff.plots import pictures
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.plot import guidance, quality
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from tests.runs.conftest import IMAGES, tiny_config, untrained

SPECK = {**IMAGES, "model__name": "speck"}


@pytest.fixture(scope="module")
def request_nfe(classifier_run, tmp_path_factory):
    config = tiny_config(**SPECK, sampler__grid="uniform")
    run = untrained(config, tmp_path_factory.mktemp("nfe") / "run")
    return PlotRequest(run, num=20, features=classifier_run[0])


@pytest.mark.parametrize(
    ("solver", "most", "steps", "nfe"),
    [
        ("ddim", 10, 10, 10),
        ("heun", 10, 5, 9),  # two a step, one in the last
        ("heun", 1, 1, 1),
        ("restart", 5, 3, 5),  # steps too large to go back from
    ],
)
def test_steps_fill_the_nfe(request_nfe, solver, most, steps, nfe):
    assert quality.steps_for(request_nfe, solver, most) == (steps, nfe)


def test_every_solver_is_drawn(request_nfe, tmp_path, monkeypatch):
    known = quality.members(quality.solvers)
    few = {name: known[name] for name in ("ddim", "heun", "consistency")}
    monkeypatch.setattr(quality, "members", lambda home: few)
    monkeypatch.setattr(quality, "NFE", (1, 3))
    plot.draw(request_nfe, "nfe", tmp_path)
    rows = json.loads((tmp_path / "nfe.json").read_text())["solvers"]
    assert {*rows} == {"ddim", "heun"}
    assert [row["nfe"] for row in rows["heun"]] == [1, 3]
    # a step to 0 is the same with either
    first = {name: some[0]["frechet"] for name, some in rows.items()}
    assert first["ddim"] == pytest.approx(first["heun"], rel=1e-4)
    assert rows["ddim"][1]["frechet"] != pytest.approx(first["ddim"], rel=1e-3)
    assert {f.name for f in tmp_path.iterdir()} >= {"nfe.png", "nfe.json"}


def test_chosen_solvers_are_compared_at_the_numbers_given(request_nfe, monkeypatch):
    run = request_nfe.run.with_sampler(batch_size=8)
    chosen = replace(request_nfe, run=run, solvers=("ddim",), nfe=(2,), num=20)
    clock = iter([0.0, 90.0, 100.0, 108.0, 200.0, 224.0, 300.0, 301.0])
    timer = SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr(quality, "time", timer)
    (row,) = quality.distances_by_nfe(chosen)["ddim"]
    # two whole batches of 8, after one that compiled; the last four do not count
    assert row["seconds"] == (8 / 8 + 24 / 8) / 2
    assert (row["nfe"], row["steps"]) == (2, 2)
    monkeypatch.undo()
    x, _ = quality.timed(chosen, solver="ddim", num_steps=2)
    same = chosen.draw(20, solver="ddim", num_steps=2)
    np.testing.assert_allclose(x, same, atol=1e-6)  # batches of other sizes
    assert "nfe" in plot.check(chosen, "nfe")
    with pytest.raises(ValueError, match="has no 'ddimm'; did you mean 'ddim'"):
        plot.check(replace(chosen, solvers=("ddimm",)), "nfe")
    with pytest.raises(ValueError, match="--solvers changes nothing in 'grid'"):
        plot.check(replace(chosen, features=None), "grid")


def test_what_takes_long_is_not_in_all(request_nfe):
    assert "nfe" not in plot.check(request_nfe, "all")


def test_nfe_needs_features(request_nfe):
    with pytest.raises(ValueError, match="needs --features"):
        plot.check(replace(request_nfe, features=None), "nfe")


def test_features_that_no_picture_depends_on_are_refused(
    request_nfe, tmp_path, monkeypatch
):
    few = replace(request_nfe, num=quality.ENOUGH - 1)
    for kind in ("steps", "grid", "schedules"):
        words = f"--features changes nothing in '{kind}'.* steps with --num=20 or more"
        with pytest.raises(ValueError, match=words):
            plot.draw(few, kind, tmp_path)
    many = replace(few, num=quality.ENOUGH)
    assert plot.check(many, "steps") == ["steps"]
    # features that cannot be read are noticed before anything is sampled
    monkeypatch.setattr(PlotRequest, "draw", None)
    with pytest.raises(FileNotFoundError, match="is not a run's workdir"):
        plot.draw(replace(many, features=tmp_path / "none"), "steps", tmp_path)
    assert not [*tmp_path.iterdir()]


def steps_config(**sampler):
    config = tiny_config(num_steps=2, data__shape=(4, 4, 1), data__num_classes=0)
    config.model.name = "basic_unet"
    config.diffusion.update({"condition": "none", "schedule": "angle"})
    config.sampler.update(sampler)
    return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps") / "run"
    untrained(steps_config(), folder)
    return folder


def of_steps(folder, num, seed=0, **sampler):
    return PlotRequest(open_run(folder, steps_config(**sampler)), seed=seed, num=num)


def test_one_step_is_the_estimate_from_the_noise(folder):
    """By hand: x0 of what the network gives at t = 1; sample i has noise i."""
    request = of_steps(folder, 3)
    got = quality.samples_by_steps(request)
    assert list(got) == [1, 10, 80]
    assert all(x.shape == (3, 4, 4, 1) for x in got.values())
    seeds = rng.split_by(jax.random.key(0), jnp.arange(3))
    keys = [jax.random.fold_in(seed, 0) for seed in seeds]
    z = jnp.stack([jax.random.normal(key, (4, 4, 1)) for key in keys])
    sigma = np.sin(np.arccos(0.02))
    x0 = request.run.model(sigma * z, jnp.ones(()), None).x0
    np.testing.assert_allclose(got[1], x0, atol=1e-5)


def test_ten_steps_are_the_runs_own_ddim(folder):
    request = of_steps(folder, 2, num_steps=10)
    drawn = request.run.sampler().draw(request.run.params, 0, np.arange(2), None)
    np.testing.assert_allclose(quality.samples_by_steps(request)[10], drawn, atol=1e-6)


def test_neither_solver_nor_grid_of_the_run_matter(folder):
    other = {"solver": "ddpm", "grid": "discrete", "num_steps": 7}
    a, b = (
        quality.samples_by_steps(of_steps(folder, 1, **fields))
        for fields in ({}, other)
    )
    for n in quality.STEPS:
        np.testing.assert_array_equal(a[n], b[n])


def test_the_picture_has_a_strip_for_each(folder, tmp_path):
    (path,) = plot.draw(of_steps(folder, 2), "steps", tmp_path)
    (other,) = plot.draw(of_steps(folder, 2, seed=1), "steps", tmp_path / "b")
    a, b = (np.asarray(Image.open(p).convert("L"), np.int32) for p in (path, other))
    assert path.name == "steps.png"
    assert (abs(a - b) > 20).mean() > 1e-3
    with pytest.raises(ValueError, match="needs a trained run"):
        plot.draw(PlotRequest(Experiment(steps_config())), "steps", tmp_path / "c")


def test_kid_is_to_as_many_real_images(folder):
    """Real images are at no distance but for chance; a grey blot is far from them."""
    request = of_steps(folder, 40)
    x = request.run.source[np.arange(100, 140)]["x"]
    got = quality.kid_by_steps(request, {1: np.zeros_like(x), 10: x})
    blot, real = (row["kid"] for row in got.values())
    assert blot > 5 * abs(real)


def test_many_samples_have_a_kid_and_few_are_shown(folder, tmp_path, capsys):
    plot.draw(of_steps(folder, quality.ENOUGH), "steps", tmp_path)
    printed = capsys.readouterr().out
    assert all(f"{n} steps: KID" in printed for n in quality.STEPS)
    assert "20 samples, pixels" in printed
    rows = json.loads((tmp_path / "steps.json").read_text())["steps"]
    assert [*rows] == ["1", "10", "80"] and {*rows["1"]} >= {"kid", "kid_error"}


@pytest.fixture(scope="module")
def request_widths(classifier_run, tmp_path_factory):
    config = tiny_config(**SPECK, diffusion__label_dropout=0.2)
    config.train.update({"ema_widths": (0.05, 0.1), "snapshot_every": 2})
    run = untrained(config, tmp_path_factory.mktemp("widths") / "run", step=4)
    return PlotRequest(run, num=20, features=classifier_run[0])


def test_every_width_and_scale_is_drawn(request_widths, tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "WIDTHS", (0.05, 0.1))
    monkeypatch.setattr(quality, "WIDTH_SCALES", (1.0, 3.0))
    plot.draw(request_widths, "widths", tmp_path)
    got = np.array(json.loads((tmp_path / "widths.json").read_text())["frechet"])
    assert got.shape == (2, 2) and np.isfinite(got).all()
    # one of them, by the run's sampler alone
    config = request_widths.run.config.copy_and_resolve_references()
    config.sampler.update({"ema": 0.1, "guidance": 3.0})
    run, extractor = open_run(request_widths.run.path, config), request_widths.extractor
    x = run.sampler().draw(run.params, 0, np.arange(20), run.conditions(20))
    real = run.pixels(run.source[np.arange(60)]["x"])
    moments = [frechet.fit(extractor.features(some)) for some in (run.pixels(x), real)]
    assert got[1, 1] == pytest.approx(frechet.distance(*moments), rel=1e-3)
    assert got[1, 1] != pytest.approx(got[1, 0], rel=1e-3)
    assert (tmp_path / "widths.png").exists()


def test_the_width_of_the_average_is_for_what_has_parameters(request_widths):
    one = replace(request_widths, features=None, num=None)
    other = replace(one, run=one.run.with_sampler(ema=0.1))
    assert plot.check(other, "predictions") == ["predictions"]
    with pytest.raises(ValueError, match=r"sampler.ema=0.1 changes nothing in 'loss'"):
        plot.check(other, "loss")


def test_with_one_average_it_is_a_line_over_guidance(
    request_widths, tmp_path, monkeypatch
):
    monkeypatch.setattr(quality, "WIDTH_SCALES", (1.0, 3.0))
    config = request_widths.run.config.copy_and_resolve_references()
    config.train.update({"ema_widths": (), "snapshot_every": 0})
    one = replace(request_widths, run=untrained(config, tmp_path / "run", step=4))
    lines = []
    monkeypatch.setattr(quality.curves, "save_lines", lambda *a, **_: lines.append(a))
    plot.draw(one, "widths", tmp_path)
    ((_, named),) = lines
    ((scales, values),) = named.values()
    figures = json.loads((tmp_path / "widths.json").read_text())
    assert figures["widths"] == [0.0] and [values.tolist()] == figures["frechet"]
    assert scales.tolist() == [1.0, 3.0] and values[0] != values[1]


def unconditional(request, **fields):
    """The request for a run whose task has learned no label, and no other width."""
    config = request.run.config.copy_and_resolve_references()
    config.train.ema_widths = ()
    config.diffusion.condition = "none"
    config.sampler.classifier = ""
    run = replace(request.run, config=config)
    vars(run)["_averages"] = 0, request.run.params
    return replace(request, run=run, **fields)


def test_widths_are_for_runs_that_have_something_to_compare(request_widths):
    misfit = plot.misfit(unconditional(request_widths), "widths")
    assert "averages of several widths" in misfit
    assert "widths" not in plot.check(request_widths, "all")


@pytest.fixture(scope="module")
def guided(classifier_run, tmp_path_factory):
    """A model with labels; one classifier guides it and gives the label accuracy."""
    config = tiny_config(
        **SPECK,
        train__num_steps=2,
        sampler__num_steps=3,
        sampler__classifier=str(classifier_run[0]),
    )
    run = untrained(config, tmp_path_factory.mktemp("guided") / "run")
    return PlotRequest(run, num=6, features=classifier_run[0])


def test_each_method_changes_its_own_scale(guided):
    methods = guidance.methods(guided)
    assert [*methods] == [
        "classifier, model without label",
        "classifier, model with label",
        "classifier-free",
    ]
    first, second, third = (method[4.0] for method in methods.values())
    assert first == {"guidance": 0.0, "classifier_scale": 4.0}
    assert second == {"guidance": 1.0, "classifier_scale": 4.0}
    assert third == {"guidance": 4.0, "classifier": ""}
    alone = replace(guided, run=guided.run.with_sampler(classifier=""))
    assert [*guidance.methods(alone)] == ["classifier-free"]


def test_label_accuracy_is_of_samples_that_have_their_label(guided):
    """A model that, given its label, makes the very images of the data, which the
    classifier recognises; given another, the images of the other class."""
    source, extractor = guided.run.source, guided.extractor
    batch = source[np.arange(len(source))]
    first = [int(np.argmax(batch["cond"] == k)) for k in range(3)]
    images = jnp.asarray(batch["x"][first])
    classes = extractor.labels(source.decode(np.asarray(images)), 255.0)

    def perfect(images, x_t, t, cond):
        # 3 is "no label": the first class
        return Denoised(images[jnp.where(cond == 3, 0, cond)])

    denoise = Partial(perfect, images)
    run = guided.run.with_sampler(classifier="")
    task = run.task._replace(model=lambda _: denoise)
    vars(run)["task"] = task  # a cached property
    accuracy = guidance.label_accuracy(replace(guided, run=run))["classifier-free"]
    labels = run.conditions(6)
    assert accuracy[0] == np.mean(classes[0] == labels)
    assert accuracy[1] == np.mean(classes[labels] == labels)


def test_the_curve_and_the_images_are_drawn(guided, tmp_path):
    plot.draw(guided, "guidance", tmp_path)
    figures = json.loads((tmp_path / "guidance.json").read_text())
    assert figures["scales"] == [0, 1, 2, 4, 8] and figures["samples"] == 6
    assert [len(v) for v in figures["label_accuracy"].values()] == [5] * 3
    assert figures["extractor"] == figures["classifier"] == str(guided.features)
    assert figures["form"] == "score"
    assert (tmp_path / "guidance.png").exists()


def test_each_row_of_images_is_of_its_method_and_scale(guided, tmp_path, monkeypatch):
    drawn, run = {}, guided.run
    monkeypatch.setattr(
        pictures, "save_rows", lambda path, rows, **names: drawn.update(rows)
    )
    plot.draw(replace(guided, features=None, num=None), "guided", tmp_path)
    assert len(drawn) == 3 * 5
    # nobody guides a model that is given its label, or guides itself at scale 1
    plain = drawn["classifier-free: 1"]
    np.testing.assert_array_equal(drawn["classifier, model with label: 0"], plain)
    silent = drawn["classifier-free: 0"]
    np.testing.assert_array_equal(drawn["classifier, model without label: 0"], silent)
    alone = run.with_sampler(guidance=4.0, classifier="")
    labels = np.arange(3, dtype="i4")
    x = alone.sampler().draw(run.params, 0, np.arange(3), labels)
    np.testing.assert_array_equal(drawn["classifier-free: 4"], run.pixels(x))
    for name in guidance.methods(guided):
        assert (drawn[f"{name}: 4"] != drawn[f"{name}: 0"]).any()


def test_what_does_not_fit_guidance_is_refused(guided, tmp_path):
    with pytest.raises(ValueError, match="needs --features=WORKDIR"):
        plot.draw(replace(guided, features=None), "guidance", tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a run's workdir"):
        plot.draw(replace(guided, features=tmp_path / "none"), "guidance", tmp_path)
    with pytest.raises(ValueError, match="is for runs trained with labels"):
        plot.draw(unconditional(guided), "guided", tmp_path)
    assert not [*tmp_path.iterdir()]
