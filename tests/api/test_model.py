"""A run as one object: it draws, edits and measures what the launchers do."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxdiff
from jaxdiff import files
from jaxdiff.api import model
from jaxdiff.runs.edit import run as edit
from jaxdiff.runs.edit.request import EditRequest
from jaxdiff.runs.experiment import open_run
from jaxdiff.runs.sample import run as sample
from tests.runs.conftest import SPECK, tiny_config, untrained
from tests.slow import slow_but

COLUMNS = ("petal length (cm)", "class")
ROWS = {
    "data__name": "iris",
    "data__columns": COLUMNS,
    "diffusion__condition": "none",
}


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    untrained(tiny_config(**SPECK), folder / "images")
    untrained(tiny_config(**ROWS), folder / "table")
    return folder


@pytest.fixture(scope="module")
def images(workdirs):
    return jaxdiff.load(workdirs / "images")


@pytest.fixture(scope="module")
def table(workdirs):
    return jaxdiff.load(str(workdirs / "table"))


def test_a_model_has_the_parts_of_its_run(images, table):
    assert images.class_names == ("class 0", "class 1", "class 2")
    assert images.columns == () and table.columns == COLUMNS
    assert table.class_names == ()
    run = open_run(images.run.path)
    chex.assert_trees_all_equal(images.params, run.params)
    x, t = jnp.ones((2, 8, 8, 1)), jnp.full(2, 0.3)
    x0 = images.denoiser(x, t, jnp.array([0, 2])).x0
    assert x0.shape == x.shape
    assert float(images.schedule.alpha(jnp.zeros(()))) == pytest.approx(1, abs=1e-4)
    assert "8x8x1, 3 classes" in repr(images) and "rows of 2" in repr(table)


def launched(run, out, **fields):
    """What launch.sample writes."""
    sample.run(sample.prepare(run, out=out, **fields))
    return files.read_arrays(out / "samples.npz")


CASES = {
    "all classes": ("images", {}, {"num": 5, "seed": 3}, {}),
    "one class": (
        "images",
        {"solver": "dpmpp_2m", "guidance": 2.0, "num_steps": 4},
        {"num": 3, "label": 2},
        {},
    ),
    "rows": ("table", {}, {"num": 4, "seed": 1}, {}),
    "given": ("table", {"num_steps": 4}, {"num": 4}, {"class": "virginica"}),
}


@pytest.mark.parametrize("case", slow_but(("one class", "given"), CASES))
def test_samples_are_those_of_the_launcher(case, workdirs, tmp_path, request):
    """Bit for bit, and so are the files."""
    kind, sampling, fields, fix = CASES[case]
    run = open_run(workdirs / kind).with_sampler(**sampling)
    texts = [f"{k}={v}" for k, v in fix.items()]
    expected = launched(run, tmp_path / "out", fix=texts, **fields)
    if "num_steps" in sampling:
        sampling["steps"] = sampling.pop("num_steps")  # its short name
    opened = request.getfixturevalue(kind)
    samples = opened.sample(**fields, fix=fix, **sampling)
    samples.save(tmp_path / "mine.npz")
    chex.assert_trees_all_equal(files.read_arrays(tmp_path / "mine.npz"), expected)
    assert len(samples) == fields["num"]
    if kind == "images":
        assert samples.values.dtype == np.uint8 and samples[0].shape == (8, 8, 1)
        assert np.array_equal(np.asarray(samples), samples.values)
        samples.save(tmp_path / "grid.png")
        names = "grid.png", "out/grid.png"
        mine, theirs = (np.asarray(Image.open(tmp_path / name)) for name in names)
        np.testing.assert_array_equal(mine, theirs)
        assert samples._repr_png_()[1:4] == b"PNG" and samples._repr_html_() is None
    else:
        samples.save(tmp_path / "rows.csv")
        text = (tmp_path / "rows.csv").read_text()
        assert text == (tmp_path / "out" / "samples.csv").read_text()
        assert [*dict(samples)] == [*COLUMNS] and samples._repr_png_() is None


def test_rows_become_a_data_frame(table):
    pandas = pytest.importorskip("pandas")
    samples = table.sample(3)
    frame = samples.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and [*frame.columns] == [*COLUMNS]
    assert frame["class"].tolist() == samples["class"].tolist()


def test_edits_are_those_of_the_launcher(images, tmp_path):
    """From the run's data by number, and from the same pixels as an array."""
    run = images.run
    request = EditRequest(run, index=["0", "2"], num=2, mask="left", label=1)
    edit.run("inpaint", request, tmp_path / "out")
    expected = files.read_arrays(tmp_path / "out" / "edited.npz")
    edited = images.edit(
        "inpaint", data_index=(0, 2), num=2, mask="left", label="class 1"
    )
    edited.save(tmp_path / "mine.npz")
    chex.assert_trees_all_equal(files.read_arrays(tmp_path / "mine.npz"), expected)
    assert edited.values.shape == (2, 2, 8, 8, 1) and len(edited) == 2
    pixels = run.pixels(run.source[np.array([0, 2])]["x"])
    hidden = np.zeros((8, 8), bool)
    hidden[:, :4] = True
    same = images.edit("inpaint", pixels, num=2, mask=hidden, label=1)
    gap = np.abs(same.values.astype(int) - edited.values)
    assert gap.max() <= 1  # the data have finer levels than pixels
    assert same._repr_png_()[1:4] == b"PNG"
    Image.fromarray(pixels[0, ..., 0]).save(tmp_path / "a.png")
    for given in (str(tmp_path / "a.png"), [tmp_path / "a.png"]):
        varied = images.edit("vary", given, num=1, label=1)
        assert varied.result.rows == ["a"]
    varied = images.edit("vary", images.sample(2), num=1, label=1)
    assert varied.values.shape == (2, 1, 8, 8, 1)


def test_log_prob_is_the_flows_bits_in_nats(table):
    """By the density of the same rows, without its launcher's padding."""
    from jaxdiff.diffusion import density

    rows = table.run.source[np.arange(3)]["x"]
    values = table.run.source.decode(rows)
    args = table.denoiser, table.schedule, jnp.asarray(rows)
    expected = jax.jit(partial(density.log_density, cleanest=0.01))(*args)
    got = table.log_prob(values)
    drawn = table.sample(2)
    np.testing.assert_array_equal(table.log_prob(drawn), table.log_prob(drawn.values))
    np.testing.assert_allclose(got, expected.log_p, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda i, t: i.sample(guidence=2), "no field 'guidence'; did you mean 'guid"),
        (lambda i, t: i.sample(steps=0), "num_steps must be at least 1, got 0"),
        (lambda i, t: i.sample(steps="few"), "num_steps"),
        (lambda i, t: i.sample(0), "num must be a whole number from 1 to 1.*, got 0"),
        (lambda i, t: i.sample(10**12), "from 1 to 100000000, got 1000000000000"),
        (lambda i, t: i.sample(True), "num must be a whole number .*, got True"),
        (lambda i, t: i.sample(seed=True), "seed must be a whole .*, got True"),
        (lambda i, t: model._texts("a=1"), "fix must be .column: value., got 'a=1'"),
        (lambda i, t: model.folder_of(None), "workdir must be a text .* got None"),
        (lambda i, t: t.log_prob(np.zeros((2, 2))), "length .cm., class; got ndarray"),
        (
            lambda i, t: i.edit("inpaint", data_index=0, mask=[[True]]),
            r"mask must be bool of shape .8, 8., .* got bool \(1, 1\)",
        ),
        (lambda i, t: i.sample(seed=2**32), "seed must be .* to 4294967295, got 4294"),
        (lambda i, t: i.sample(seed=-1), "seed must be .*, got -1"),
        (lambda i, t: i.sample(steps=2, num_steps=3), "steps and num_steps are one"),
        (lambda i, t: i.sample(label="cat"), "a class's name, got cat"),
        (lambda i, t: i.sample(known="project"), "sampler.known.* counts only with"),
        (lambda i, t: i.sample(fix={"a": 1}), "only tables have columns"),
        (lambda i, t: t.sample(fix={"clas": 1}), "did you mean 'class'"),
        (lambda i, t: t.sample(quantile=0.9), "sampler.quantile=0.9 needs images"),
        (lambda i, t: i.sample(2).save("a.gif"), "must end in one of .png, .npz"),
        (lambda i, t: i.sample(2).save("a.csv"), "images are no table"),
        (lambda i, t: i.sample(2).to_pandas(), "images are no table"),
        (lambda i, t: t.edit("vary", data_index=0), "for models of pixels"),
        (lambda i, t: i.edit("varry", data_index=0), "did you mean 'vary'"),
        (lambda i, t: i.edit("vary"), "which image"),
        (lambda i, t: i.edit("vary", data_index=0, mask="top"), "mask is for inpaint,"),
        (lambda i, t: i.edit("vary", data_index=0, method="x"), "method is for inp"),
        (
            lambda i, t: i.edit("inpaint", data_index=0, mask="top", strength=0.1),
            "strength is for vary, and not for inpaint",
        ),
        (
            lambda i, t: i.edit("inpaint", data_index=0, mask="top", method="nonsense"),
            "has no 'nonsense'",
        ),
        (lambda i, t: i.edit("vary", data_index=0, seed=2**32), "seed must be"),
        (lambda i, t: i.edit("vary", np.zeros((8, 8, 1))), "uint8 .*got float64"),
        (lambda i, t: i.edit("vary", np.zeros((4, 4, 1), "u1")), "uint8 of shape"),
        (
            lambda i, t: i.edit("inpaint", data_index=0, mask=np.ones((8, 8))),
            "mask must be bool of shape .8, 8.",
        ),
        (lambda i, t: i.log_prob(np.zeros((2, 4, 4, 1), "u1")), "needs uint8 images"),
        (lambda i, t: t.log_prob({"class": ["setosa"]}), "petal length .cm.'. are mi"),
        (lambda i, t: jaxdiff.load("nowhere"), "nowhere is not a run's workdir"),
    ],
)
def test_mistakes_are_one_line_before_any_work(call, words, images, table):
    with pytest.raises((ValueError, OSError), match=words) as error:
        call(images, table)
    assert "\n" not in str(error.value)
