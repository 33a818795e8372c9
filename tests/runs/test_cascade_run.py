"""A cascade as two runs: the upsampler enlarges what its base makes."""

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdiff import build
from jaxdiff.data.batches import permutation
from jaxdiff.plots import pictures
from jaxdiff.runs import workdir
from jaxdiff.runs.experiment import load
from jaxdiff.runs.plot import run as plot
from jaxdiff.runs.sample import run as sample
from jaxdiff.runs.sampler import load_base, make_sampler
from jaxdiff.runs.train import loop as train
from jaxdiff.runs.train import preview
from tests.runs.conftest import tiny_config, untrained


def config_of(side, **fields):
    given = {
        "data__shape": (side, side, 1),
        "data__num_classes": 3,
        "model__name": "unet",
        "model__channels": 8,
        "model__multipliers": (1,),
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
    """(workdir of the base, workdir of the upsampler)."""
    base, up = (tmp_path_factory.mktemp("cascade") / n for n in ("base", "up"))
    untrained(config_of(4), base)
    untrained(upsampler(base), up)
    return base, up


def test_the_preview_lays_the_enlarged_beside_the_real(cascade, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(pictures, "save_rows", lambda path, rows: drawn.update(rows))
    config = workdir.load_config(cascade[1])
    run = load(cascade[1], config)
    show = preview.make_preview(config, run.source, run.task)
    show(run.params, tmp_path / "preview.png")
    index = permutation(config.seed, 0, len(run.source))[: config.train.num_preview]
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


def drawn(cascade, index, **sampler):
    config = workdir.load_config(cascade[1])
    config.sampler.update(sampler)
    run = load(cascade[1], config)
    base = load_base(config, run.source)
    one = make_sampler(config, run.source, run.task, base=base)
    index = np.asarray(index)
    return one, one.draw(run.params, 5, index, (index % 3).astype(np.int32))


def test_an_image_depends_on_its_own_index_alone(cascade):
    """Law 1 holds through both models and the noise between them."""
    sampler, together = drawn(cascade, [0, 1, 2])
    _, alone = drawn(cascade, [2])
    np.testing.assert_allclose(together[2:], alone, atol=1e-5)
    assert sampler.calls() == 3 + 3  # of the base and its own


def test_the_small_images_are_those_that_the_base_makes_by_itself(cascade):
    folder, config = cascade[0], workdir.load_config(cascade[0])
    run = load(folder, config)
    labels = np.array([0, 1, 2, 0], np.int32)
    alone = make_sampler(config, run.source, run.task).draw(
        run.params, 5, np.arange(4), labels
    )
    up = load(cascade[1], workdir.load_config(cascade[1]))
    base = load_base(up.config, up.source)
    # model units of both are [-1, 1]; the way there clips to black and white
    got = base.draw(5, np.arange(4), labels)
    np.testing.assert_allclose(got, np.clip(alone, -1, 1), atol=1e-5)


def test_classes_that_nobody_asks_for_are_an_images_own(cascade):
    """Whichever images it is drawn with: in shards, or by itself."""
    up = load(cascade[1], workdir.load_config(cascade[1]))
    base = load_base(up.config, up.source)
    together = base.draw(5, np.arange(4), None)
    np.testing.assert_allclose(
        base.draw(5, np.array([2]), None), together[2:3], atol=1e-5
    )
    told = base.draw(5, np.arange(4), np.array([0, 1, 2, 0], np.int32))
    np.testing.assert_array_equal(told, together)


def test_a_base_may_be_an_upsampler_itself(cascade, tmp_path):
    """4x4 to 8x8 to 16x16: what is enlarged last is what the first two make alone."""
    fields = {"data__shape": (16, 16, 1), "diffusion__low_size": 8}
    config = upsampler(cascade[1], **fields)
    top = untrained(config, tmp_path / "top")
    base = load_base(config, top.source)
    labels = np.array([0, 1, 2], np.int32)
    _, alone = drawn(cascade, labels)
    np.testing.assert_allclose(
        base.draw(5, np.arange(3), labels), np.clip(alone, -1, 1), atol=1e-5
    )
    sampler = make_sampler(config, top.source, top.task, base=base)
    x = sampler.draw(top.params, 5, np.arange(3), labels)
    assert x.shape == (3, 16, 16, 1) and sampler.calls() == 3 + 3 + 3


def test_the_command_makes_both(cascade, tmp_path):
    config, out = workdir.load_config(cascade[1]), tmp_path / "out"
    asked = {"num": 3, "seed": 0, "label": 1, "png": False, "force": False}
    sample.run(sample.prepare(cascade[1], config, out=out, **asked))
    assert np.load(out / "samples.npz")["values"].shape == (3, 8, 8, 1)
    scene = plot.Scene(config, cascade[1], num=4)
    names = [path.stem for path in plot.draw(scene, "all", tmp_path)]
    assert {"grid", "guided"} <= {*names} and "film" not in names
    with pytest.raises(ValueError, match="not for an upsampler"):
        plot.draw(plot.Scene(config, cascade[1]), "film", tmp_path)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"diffusion__low_size": 8}, "must be from 1 to below the side"),
        ({"diffusion__augment": 1.0}, r"diffusion\.augment must be in \[0, 1\)"),
        ({"model__name": "basic_unet"}, "takes no image beside x_t"),
        ({"sampler__augment": 0.5}, r"sampler\.augment=0\.5 must be from 0 to"),
    ],
)
def test_what_cannot_be_is_refused(fields, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        train.prepare(upsampler("none", **fields), tmp_path / "run")


def test_a_base_that_does_not_fit_is_refused(cascade, whole):
    config = workdir.load_config(cascade[1])
    source = build.make_source(config)
    for folder, words in (
        ("", "this run enlarges 4x4 images"),
        (cascade[1].parent / "none", "is not a run's workdir"),
        (whole[0], r"sampler\.base: .* makes \(2,\)"),
    ):
        config.sampler.base = str(folder)
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            load_base(config, source)
    sampler = make_sampler(config, source, build.make_task(config, source))
    with pytest.raises(ValueError, match="this run enlarges 4x4 images"):
        sampler.each(0, np.arange(2), None)
