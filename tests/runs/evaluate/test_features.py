"""A judge: data units in, the classifier's own features and labels out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.data import images
from jaxdiff.runs import workdir
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.evaluate.features import features, labels, load_judge
from jaxdiff.runs.experiment import load
from tests.runs.conftest import CLASSIFIER, config_of


@pytest.fixture(scope="module")
def judge(judged):
    return load_judge(judged[0])


def shown(judge, num=60):
    """The judge's own data: model units, data units and labels."""
    batch = judge.source[np.arange(num)]
    return batch["x"], judge.source.decode(batch["x"]), batch["label"]


def test_it_says_what_the_classifier_says(judge, judged):
    folder, config = judged
    trained = load(folder, config)
    classify, t = trained.task.model(trained.params), jnp.asarray(0.0)
    x, values, real = shown(judge)
    x = jnp.asarray(x)
    assert judge.step == 60 and judge.folder == folder
    seen = features(judge, values, 255.0)
    assert seen.shape == (60, 8) and seen.dtype == np.float32
    np.testing.assert_allclose(seen, classify.features(x, t), atol=1e-4)
    said = labels(judge, values, 255.0)
    assert said.dtype == np.int32
    np.testing.assert_array_equal(said, classify.logits(x, t).argmax(-1))
    assert (said == real).mean() > 0.5  # a guess is right in 1/3


def test_units_are_the_callers(judge):
    """Of [0, 1], of [0, 255], and of 8 bits: the same images."""
    _, values, _ = shown(judge, 5)
    whole = np.rint(values)
    seen = features(judge, whole, 255.0)
    for same, peak in ((whole / 255, 1.0), (whole.astype(np.uint8), 255.0)):
        np.testing.assert_allclose(features(judge, same, peak), seen, atol=1e-4)


def test_standardised_judges_are_given_their_units(judge):
    """The model's units per channel: the same x as its source would load."""
    source = images.standardise(judge.source, (0.3,), (0.2,))
    x = source[np.arange(7)]["x"]
    moved = judge._replace(source=source, classify=Echo())
    seen = judging._look(moved, Echo.__call__, source.decode(x), 255.0)
    np.testing.assert_allclose(seen, x, atol=1e-5)


class Echo:
    def __call__(self, x):
        return x


def test_one_compilation_whatever_the_number(judge, monkeypatch):
    """Chunks of one shape; image i is the same in any of them."""
    _, values, _ = shown(judge)
    alone = features(judge, values, 255.0)
    monkeypatch.setattr(judging, "CHUNK", 16)
    jax.clear_caches()  # of what other files compiled
    before = judging._features._cache_size()
    for num in (60, 33, 16, 1):
        some = features(judge, values[:num], 255.0)
        np.testing.assert_allclose(some, alone[:num], atol=1e-4)
    assert judging._features._cache_size() == before + 1


@pytest.mark.parametrize(
    ("shape", "fill", "words"),
    [
        ((2, 4, 8, 1), 0, "8x4 of 1 channel, but .*/run judges 8x8 of 1 channel"),
        ((2, 8, 8, 3), 0, "8x8 of 3 channels, but"),
        ((2, 8, 8), 0, r"of shape \(8, 8\), but"),
        ((0, 8, 8, 1), 0, "no image"),
        ((2, 8, 8, 1), -1, r"in \[0, 255\], got -1 to -1; give data units"),
        ((2, 8, 8, 1), 256, "got 256 to 256"),
        ((2, 8, 8, 1), np.nan, "got nan"),
    ],
)
def test_refuses_images(judge, shape, fill, words):
    for look in (features, labels):
        with pytest.raises(ValueError, match=words):
            look(judge, np.full(shape, fill, np.float32), 255.0)


def test_refuses_runs(whole, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run's workdir"):
        load_judge(tmp_path)
    with pytest.raises(ValueError, match="run of task='diffusion'; a judge is a run"):
        load_judge(whole[0])
    workdir.save_config(tmp_path, config_of(**CLASSIFIER))
    with pytest.raises(FileNotFoundError, match="has no checkpoint yet"):
        load_judge(tmp_path)
