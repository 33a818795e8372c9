"""The pictures of a diffusion run: the numbers that they show."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdiff import build
from jaxdiff.plots.page import make_page, on_page
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.plot import diffusion
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest, real_images
from tests.runs.conftest import tiny_config, untrained

# What needs more than a trained run: --features, train.evaluate_every, a classifier.
NEED_MORE = ("guidance", "counts", "progress", "gradients")


def drawn_by_all(data, *, trained=True):
    """What `all` draws of a class-conditional denoiser of "images" or "tables"."""
    request = PlotRequest(Experiment(tiny_config()))
    return [
        name
        for name, spec in plot.SPECS.items()
        if spec.task in ("", "diffusion")
        and spec.quick
        and data in (spec.data or (data,))
        and (trained or not spec.needs(request))
        and name not in NEED_MORE
    ]


OF_IMAGES, OF_ROWS = map(drawn_by_all, ("images", "tables"))


def image_config(**fields):
    """Class-conditional 8x8 blobs, two steps."""
    config = tiny_config(num_steps=2, data__shape=(8, 8, 1), model__name="speck")
    config.data.num_classes = 3
    for name, value in fields.items():
        block, _, field = name.partition("__")
        config[block][field] = value
    return config


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "run"
    return PlotRequest(untrained(image_config(), folder, step=2), num=5)


@pytest.fixture
def rows(whole):
    folder, *_ = whole
    return PlotRequest(open_run(folder))


def test_corruption_starts_at_the_data_and_ends_at_the_noise(images):
    config = image_config(diffusion__schedule="linear_mix", diffusion__noise="uniform")
    request = PlotRequest(Experiment(config), num=5)
    x, labels, keys = real_images(request)
    x_t = diffusion.corrupt(request.run, x, keys, diffusion.TIMES)
    np.testing.assert_array_equal(x_t[0], x)
    assert 0 <= x_t[-1].min() < 0.1 and 0.9 < x_t[-1].max() < 1
    # by hand: one noise for an image at all times, mixed in by t
    for t, got in zip(diffusion.TIMES, x_t, strict=True):
        np.testing.assert_allclose(got, (1 - t) * x + t * x_t[-1], atol=1e-6)
    assert not np.allclose(x_t[-1, 0], x_t[-1, 1])
    np.testing.assert_array_equal(labels, [0, 1, 2, 0, 1])  # classes in turn


def test_real_images_are_of_the_data_and_the_seed_chooses_them():
    run = Experiment(image_config())
    x, labels, _ = real_images(PlotRequest(run, num=3))
    every = run.source[np.arange(len(run.source))]
    for image, label in zip(x, labels, strict=True):
        same = (every["x"] == image).all((1, 2, 3))
        assert same.sum() == 1 and every["cond"][same] == label
    other, _, _ = real_images(PlotRequest(run, num=3, seed=1))
    assert not np.array_equal(x, other)


def test_predictions_are_the_networks_given_the_images_labels(images):
    x_t, x0, labels = diffusion.predict(images)
    assert x_t.shape == x0.shape == (11, 5, 8, 8, 1)
    t = jnp.float32(diffusion.TIMES[7])
    expected = images.run.model(jnp.asarray(x_t[7]), t, jnp.asarray(labels)).x0
    np.testing.assert_allclose(x0[7], expected, atol=1e-5)
    assert np.isfinite(x0).all()


@pytest.mark.parametrize("clip", [False, True])
def test_the_films_last_estimate_is_the_sample(images, clip):
    """And it is the sample that the sampler draws from the same seed."""
    # the film's steps count, not the run's
    run = images.run.with_sampler(clip=clip, guidance=2.0, num_steps=99)
    ts, trace, x = diffusion.film(PlotRequest(run, num=4, steps=3))
    assert ts.shape == (4,) and trace.x_t.shape == (3, 4, 8, 8, 1)
    np.testing.assert_allclose(trace.x0[-1], x, atol=1e-6)
    sampler = run.with_sampler(num_steps=3).sampler()
    drawn = sampler.draw(run.params, 0, np.arange(4), run.conditions(4))
    np.testing.assert_allclose(x, drawn, atol=1e-5)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_mean_is_beside_what_the_network_predicts_from_noise(classes, tmp_path):
    """Of a network whose x0 is 0 everywhere, the distance is the mean image itself."""
    config = image_config(diffusion__prediction="x0", data__num_classes=classes)
    if not classes:
        config.diffusion.update({"condition": "none", "label_dropout": 0.0})
        config.sampler.guidance = 1.0
    run = untrained(config, tmp_path / "run", step=2)
    vars(run)["_averages"] = 2, jax.tree.map(jnp.zeros_like, run.params)
    numbers = diffusion.draw_mean(PlotRequest(run), tmp_path / "mean.png")
    batch = run.source[np.arange(len(run.source))]
    of = [batch["x"]] * diffusion.NOISES
    if classes:
        labels = run.labels_of(run.conditions(diffusion.NOISES))
        of = [batch["x"][batch["cond"] == k] for k in labels]
    rms = [np.sqrt((x.mean(axis=0) ** 2).mean()) for x in of]
    np.testing.assert_allclose(numbers["rms_from_mean"], rms, rtol=1e-4)
    alone = diffusion.draw_mean(PlotRequest(Experiment(config)), tmp_path / "one.png")
    assert "rms_from_mean" not in alone
    narrow, wide = (pixels(tmp_path / f"{k}.png").shape for k in ("one", "mean"))
    assert narrow[0] < wide[0] and narrow[1] < wide[1]


def test_eps_gives_no_x0_from_noise_alone(tmp_path, capsys):
    config = image_config(diffusion__prediction="eps", diffusion__schedule="cosine")
    run = untrained(config, tmp_path / "run", step=2)
    numbers = diffusion.draw_mean(PlotRequest(run), tmp_path / "mean.png")
    assert "rms_from_mean" not in numbers
    assert "eps does not give x0 from noise: alpha is" in capsys.readouterr().err


def pixels(path):
    with Image.open(path) as file:
        return np.asarray(file.convert("L"), np.int32)


def test_all_draws_what_fits(images, rows, tmp_path, capsys):
    paths = plot.draw(images, "all", tmp_path / "images")
    assert [p.stem for p in paths] == OF_IMAGES
    assert capsys.readouterr().out.split() == [str(p) for p in paths]
    paths = plot.draw(rows, "all", tmp_path / "rows")
    assert [p.stem for p in paths] == OF_ROWS
    assert {"schedules", "corruption", "loss", "pairs"} <= {*OF_ROWS}
    for path in tmp_path.rglob("*.png"):
        assert pixels(path).std() > 1, path
        numbers = json.loads(path.with_suffix(".json").read_text())
        assert len(numbers) > 1 and numbers["workdir"], path
    # without a run: what needs no parameters
    config = PlotRequest(Experiment(image_config()))
    paths = plot.draw(config, "all", tmp_path / "config")
    untrained_kinds = drawn_by_all("images", trained=False)
    assert [p.stem for p in paths] == untrained_kinds
    assert {"schedules", "corruption", "mean"} <= {*untrained_kinds}


@pytest.mark.parametrize("kind", ["corruption", "predictions", "film", "grid"])
def test_pictures_of_images_vary_with_the_seed(images, tmp_path, kind):
    (a,) = plot.draw(images, kind, tmp_path / "a")
    other = replace(images, seed=7)
    (b,) = plot.draw(other, kind, tmp_path / "b")
    assert (abs(pixels(a) - pixels(b)) > 20).mean() > 1e-3


def test_a_picture_is_overwritten_in_no_format(images, tmp_path):
    images = replace(images, num=None)
    with on_page(make_page(["pdf", "svg"], columns=1)):
        plot.draw(images, "schedules", tmp_path)
        names = {p.name for p in tmp_path.iterdir()}
        assert {"schedules.pdf", "schedules.svg", "schedules.json"} == names - {".lock"}
    (tmp_path / "schedules.json").unlink()
    with (
        on_page(make_page(["png", "svg"])),
        pytest.raises(ValueError, match=r"schedules.svg exists?; --force"),
    ):
        plot.draw(images, "schedules", tmp_path)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("schedules", (8, 8, 1), "'schedules' shows none"),
        ("mean", (8, 8, 3), "the data are in colour"),
    ],
)
def test_only_grey_images_are_inverted(kind, shape, message):
    request = PlotRequest(Experiment(image_config(data__shape=shape)))
    with on_page(make_page(invert=True)), pytest.raises(ValueError, match=message):
        plot.check(request, kind)


def test_pictures_vary_with_the_data(images, tmp_path):
    for name, low, schedule in (("a", 3, "cosine"), ("b", 4, "linear_mix")):
        config = image_config(diffusion__schedule=schedule)
        config.data.num_classes = low
        plot.draw(PlotRequest(Experiment(config)), "all", tmp_path / name)
    for kind in ("schedules", "corruption", "mean"):
        a, b = (pixels(tmp_path / name / f"{kind}.png") for name in "ab")
        assert a.shape != b.shape or (abs(a - b) > 20).mean() > 1e-3, kind


def test_every_schedule_is_drawn_on_request(tmp_path):
    for every in (False, True):
        request = PlotRequest(Experiment(tiny_config()), every=every)
        plot.draw(request, "schedules", tmp_path / str(every))
    few, many = (pixels(tmp_path / str(e) / "schedules.png") for e in (False, True))
    assert few.shape != many.shape or (few != many).mean() > 0.01


@pytest.mark.parametrize("schedule", ["sigmoid", "linear_mix"])
def test_shares_of_signal_and_noise_are_drawn(schedule, tmp_path):
    request = PlotRequest(Experiment(image_config(diffusion__schedule=schedule)))
    plot.draw(request, "schedules", tmp_path)
    kept = json.loads((tmp_path / "schedules.json").read_text())["schedules"]
    (parts,) = kept.values()
    alpha, sigma, share = (np.array(parts[k]) for k in ("alpha", "sigma", "share"))
    np.testing.assert_allclose(share, alpha**2 / (alpha**2 + sigma**2), atol=1e-6)
    if schedule == "sigmoid":  # it preserves variance: the share is alpha_bar
        np.testing.assert_allclose(share, alpha**2, atol=1e-6)


def test_misfits_are_refused_before_anything_is_written(images, rows, tmp_path):
    out = tmp_path / "out"
    config = PlotRequest(Experiment(image_config()))
    for request, kind, match in (
        (images, "flim", "no kind of picture 'flim'; did you mean 'film'.*pairs"),
        (images, "pairs", "'pairs' is for tables, and the data are images"),
        (rows, "film", "'film' is for images, and the data are tables"),
        (rows, "mean", "is for images"),
        (config, "grid", "'grid' needs a trained run: give its --workdir"),
        (config, "loss", "needs a trained run"),
    ):
        with pytest.raises(ValueError, match=match):
            plot.draw(request, kind, out)
    assert not out.exists()


def test_a_sampler_that_no_picture_depends_on_is_refused(images, tmp_path):
    other = replace(images, run=images.run.with_sampler(num_steps=7, guidance=2.0))
    for kind in ("schedules", "corruption", "predictions", "mean", "loss"):
        words = f"--config.sampler.guidance=.* changes nothing in '{kind}'"
        with pytest.raises(ValueError, match=words):
            plot.draw(other, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert plot.check(other, "grid") == ["grid"]
    assert {*plot.check(other, "all")} >= {"loss", "grid"}


def test_a_table_of_one_number_has_pairs_but_no_scatter(tmp_path):
    config = tiny_config(data__name="iris", num_steps=2)
    config.data.columns = ("petal width (cm)", "class")
    request = PlotRequest(untrained(config, tmp_path / "run", step=2), num=6)
    with pytest.raises(ValueError, match="needs 2 or more columns of numbers"):
        plot.draw(request, "corruption", tmp_path / "out")
    drawn = [p.stem for p in plot.draw(request, "all", tmp_path / "out")]
    assert drawn == [kind for kind in OF_ROWS if kind != "corruption"]


def test_pictures_are_not_overwritten_unasked(tmp_path):
    request = PlotRequest(Experiment(tiny_config()))
    (path,) = plot.draw(request, "schedules", tmp_path)
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"schedules.json exists?; --force overwrites"):
        plot.draw(request, "all", tmp_path)
    assert path.read_bytes() == b"mine" and len([*tmp_path.iterdir()]) == 2
    (tmp_path / "corruption.json").write_text("mine")
    with pytest.raises(ValueError, match=r"corruption.json exist"):
        plot.draw(request, "corruption", tmp_path)
    plot.draw(request, "schedules", tmp_path, force=True)
    assert path.read_bytes() != b"mine"


def test_a_model_without_condition_is_given_no_labels(images, tmp_path):
    config = image_config(diffusion__condition="none")
    run = untrained(config, tmp_path / "run", step=2)
    request = PlotRequest(run, num=2)
    assert build.num_labels(config, run.source) == 0
    assert plot.check(request, "all") == [k for k in OF_IMAGES if k != "guided"]
    for kind in ("predictions", "film", "grid"):  # those that pass labels
        few = {"steps": 2} if kind == "film" else {}
        plot.draw(replace(request, **few), kind, tmp_path / "out")
    assert jax.tree.leaves(run.params)


def test_a_field_that_the_picture_sets_itself_is_refused(images, tmp_path):
    for kind, field in (("film", "num_steps"), ("steps", "grid"), ("grid", "resample")):
        value = {"num_steps": 7, "grid": "karras", "resample": 3}[field]
        other = replace(images, run=images.run.with_sampler(**{field: value}))
        words = rf"sampler\.{field}=.* changes nothing in '{kind}', which sets it"
        with pytest.raises(ValueError, match=words):
            plot.draw(other, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("loss", {"num": 5}, "--num changes nothing in 'loss': it is for corr"),
        ("mean", {"seed": 1}, "--seed changes nothing in 'mean'"),
        ("grid", {"steps": 9}, "--steps changes nothing in 'grid': it is for film."),
        ("grid", {"every": True}, "--all changes nothing in 'grid'"),
        ("all", {"nfe": (5,)}, "--nfe changes nothing in 'all': it is for nfe"),
        ("film", {"num": 200}, "--num=200 is more than 'film' draws: give 8 at most"),
    ],
)
def test_a_flag_that_the_kind_does_not_take_is_refused(images, kind, fields, words):
    with pytest.raises(ValueError, match=words):
        plot.check(PlotRequest(images.run, **fields), kind)


def test_all_takes_the_flags_of_some_kind(images):
    fields = {"num": 200, "seed": 1, "steps": 3, "every": True}
    assert "film" in plot.check(PlotRequest(images.run, **fields), "all")


def test_a_run_is_drawn_once(images):
    run, same = images.run, replace(images.run, workdir=images.run.path / ".")
    with pytest.raises(ValueError, match="is drawn twice: name each run once"):
        plot.check(PlotRequest(run, beside=same), "loss")
