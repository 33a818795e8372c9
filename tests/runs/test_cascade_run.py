"""A cascade as two runs: the upsampler enlarges what its base makes."""

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdiff.data.batches import permutation
from jaxdiff.plots import pictures
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.plot.spec import PlotRequest
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.train import setup
from jaxdiff.runs.train.preview import denoiser as preview
from tests.runs.conftest import tiny_config, untrained


def config_of(side, **fields):
    given = {
        "data__shape": (side, side, 1),
        "data__num_classes": 3,
        "model__name": "speck",
    }
    return tiny_config(num_steps=2, **given | fields)


def upsampler(base, **fields):
    given = {
        "diffusion__low_size": 4,
        "diffusion__augment": 0.3,
        "sampler__base": str(base),
        "sampler__augment": 0.1,
        "sampler__guidance": 2.0,
    }
    return config_of(8, **given | fields)


@pytest.fixture(scope="module")
def cascade(tmp_path_factory):
    """The runs of the base and of the upsampler."""
    folder = tmp_path_factory.mktemp("cascade")
    base = untrained(config_of(4), folder / "base")
    return base, untrained(upsampler(base.workdir), folder / "up")


def test_the_preview_lays_the_enlarged_beside_the_real(cascade, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(pictures, "save_rows", lambda path, rows: drawn.update(rows))
    _, run = cascade
    show = preview.make(run)
    show(run.params, tmp_path / "preview.png")
    num, seed = run.config.train.num_preview, run.config.seed
    index = permutation(seed, 0, len(run.source))[:num]
    real = run.source.decode(run.source[index]["x"])
    np.testing.assert_array_equal(drawn["image"], pictures.to_uint8(real, 255.0))
    for row, image in enumerate(drawn["image"][..., 0]):
        small = Image.fromarray(image).resize((4, 4), Image.Resampling.LANCZOS)
        large = np.asarray(small.resize((8, 8), Image.Resampling.BICUBIC), int)
        # Pillow rounds in between, and its cubic is of another parameter
        assert abs(large - drawn["bicubic"][row, ..., 0]).mean() < 8
    # of two runs of other parameters only what is enlarged by them differs
    before = dict(drawn)
    show(jax.tree.map(lambda a: a + 0.1, run.params), tmp_path / "preview.png")
    assert (before["enlarged"] != drawn["enlarged"]).any()
    np.testing.assert_array_equal(before["bicubic"], drawn["bicubic"])


def drawn(run, index):
    index = np.asarray(index)
    return run.sampler().draw(run.params, 5, index, (index % 3).astype(np.int32))


def small_images(run, index, cond):
    """What the base of an upsampler makes for it, in its model units."""
    images = run.sampler().per_image(5, index, cond)
    return images.low


def test_an_image_depends_on_its_own_index_alone(cascade):
    """Law 1 holds through both models and the noise between them."""
    _, up = cascade
    together, alone = drawn(up, [0, 1, 2]), drawn(up, [2])
    np.testing.assert_allclose(together[2:], alone, atol=1e-5)
    assert up.sampler().nfe() == 3 + 3  # of the base and its own


def test_the_small_images_are_those_that_the_base_makes_by_itself(cascade):
    base, up = cascade
    index = np.arange(4)
    small = small_images(up, index, np.array([0, 1, 2, 0], np.int32))
    # model units of both are [-1, 1]; the way there clips to black and white
    np.testing.assert_allclose(small, np.clip(drawn(base, index), -1, 1), atol=1e-5)


def test_without_classes_each_small_image_has_the_class_of_its_number(cascade):
    """Whichever images it is drawn with: in shards, or by itself."""
    _, up = cascade
    together = small_images(up, np.arange(4), None)
    alone = small_images(up, np.array([2]), None)
    np.testing.assert_allclose(alone, together[2:3], atol=1e-5)
    labelled = small_images(up, np.arange(4), np.array([0, 1, 2, 0], np.int32))
    np.testing.assert_array_equal(labelled, together)


def test_a_base_may_be_an_upsampler_itself(cascade, tmp_path):
    """4x4 to 8x8 to 16x16: what is enlarged last is what the first two make alone."""
    fields = {"data__shape": (16, 16, 1), "diffusion__low_size": 8}
    _, up = cascade
    top = untrained(upsampler(up.workdir, **fields), tmp_path / "top")
    labels = np.array([0, 1, 2], np.int32)
    small = small_images(top, np.arange(3), labels)
    alone = np.clip(drawn(up, labels), -1, 1)
    np.testing.assert_allclose(small, alone, atol=1e-5)
    assert drawn(top, labels).shape == (3, 16, 16, 1)
    assert top.sampler().nfe() == 3 + 3 + 3


def test_the_command_makes_both(cascade, tmp_path):
    (_, up), out = cascade, tmp_path / "out"
    sample.run(sample.prepare(up, out=out, num=3, label=1))
    assert np.load(out / "samples.npz")["values"].shape == (3, 8, 8, 1)
    paths = plot.draw(PlotRequest(up, num=4), "all", tmp_path)
    names = {path.stem for path in paths}
    assert {"grid", "guided"} <= names and "film" not in names
    with pytest.raises(ValueError, match="not for an upsampler"):
        plot.draw(PlotRequest(up), "film", tmp_path)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"diffusion__low_size": 8}, "must be from 1 to below the side"),
        ({"diffusion__augment": 1.0}, r"diffusion\.augment must be in \[0, 1\)"),
        (
            {"model__name": "basic_unet", "sampler__guidance": 1.0},
            "takes no image beside x_t",
        ),
        ({"sampler__augment": 0.5}, r"sampler\.augment=0\.5 must be from 0 to"),
    ],
)
def test_what_cannot_be_is_refused(fields, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        setup.prepare(upsampler("none", **fields), tmp_path / "run")


def test_a_base_that_does_not_fit_is_refused(cascade, whole):
    _, up = cascade
    for folder, words in (
        ("", "this run enlarges 4x4 images"),
        (up.workdir.parent / "none", "is not a run's workdir"),
        (whole[0], r"sampler\.base: .* makes \(2,\)"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            up.with_sampler(base=str(folder)).sampler()
    sampler = up.sampler(with_base=False)
    with pytest.raises(ValueError, match="this run enlarges 4x4 images"):
        sampler.per_image(0, np.arange(2), None)
