"""An extractor: data units in, the classifier's features and labels out."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.data import images, synthetic
from jaxdiff.runs import workdir
from jaxdiff.runs.evaluate import features as module
from jaxdiff.runs.evaluate.features import load_extractor
from jaxdiff.runs.experiment import open_run
from tests.runs.conftest import CLASSIFIER, tiny_config


@pytest.fixture(scope="module")
def extractor(classifier_run):
    return load_extractor(classifier_run[0])


def real(extractor, num=60):
    """The extractor's data: model units, data units and labels."""
    batch = extractor.source[np.arange(num)]
    return batch["x"], extractor.source.decode(batch["x"]), batch["cond"]


def test_features_and_labels_are_the_classifiers(extractor, classifier_run):
    classify, t = open_run(*classifier_run).model, jnp.asarray(0.0)
    x, values, truth = real(extractor)
    x = jnp.asarray(x)
    assert extractor.step == 60 and extractor.folder == classifier_run[0]
    features = extractor.features(values, 255.0)
    assert features.shape == (60, 8) and features.dtype == np.float32
    np.testing.assert_allclose(features, classify.features(x, t), atol=1e-4)
    labels = extractor.labels(values, 255.0)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, classify.logits(x, t).argmax(-1))
    assert (labels == truth).mean() > 0.5  # a guess is right in 1/3
    both = extractor.features_and_probabilities(values, 255.0)
    np.testing.assert_allclose(both[0], features, atol=1e-4)
    np.testing.assert_array_equal(both[1].argmax(1), labels)


def test_units_are_the_callers(extractor):
    """Of [0, 1], of [0, 255], and of 8 bits: the same images."""
    _, values, _ = real(extractor, 5)
    whole = np.rint(values)
    features = extractor.features(whole, 255.0)
    for same, peak in ((whole / 255, 1.0), (whole.astype(np.uint8), 255.0)):
        np.testing.assert_allclose(extractor.features(same, peak), features, atol=1e-4)


def test_standardised_classifiers_are_given_their_units(extractor):
    """The model's units per channel: the same x as its source would load."""
    source = images.standardise(extractor.source, (0.3,), (0.2,))
    x = source[np.arange(7)]["x"]
    moved = extractor._replace(source=source, classify=Echo())
    results = moved._apply(Echo.__call__, source.decode(x), 255.0)
    np.testing.assert_allclose(results, x, atol=1e-5)


class Echo:
    def __call__(self, x):
        return x


def test_one_compilation_whatever_the_number(extractor, monkeypatch, compilations):
    """Chunks of one shape; image i is the same in any of them."""
    _, values, _ = real(extractor)
    alone = extractor.features(values, 255.0)
    monkeypatch.setattr(module, "CHUNK", 16)
    compilations.names.clear()
    for num in (60, 33, 16, 1):
        some = extractor.features(values[:num], 255.0)
        np.testing.assert_allclose(some, alone[:num], atol=1e-4)
    assert compilations.names.count("jit(clean_features)") == 1


@pytest.mark.parametrize(
    ("shape", "fill", "words"),
    [
        ((2, 4, 8, 1), 0, "8x4 of 1 channel, but .*/run takes 8x8 of 1 channel"),
        ((2, 8, 8, 3), 0, "8x8 of 3 channels, but"),
        ((2, 8, 8), 0, r"of shape \(8, 8\), but"),
        ((0, 8, 8, 1), 0, "no image"),
        ((2, 8, 8, 1), -1, r"in \[0, 255\], got -1 to -1; give data units"),
        ((2, 8, 8, 1), 256, "got 256 to 256"),
        ((2, 8, 8, 1), np.nan, "got nan"),
    ],
)
def test_refuses_images(extractor, shape, fill, words):
    for method in (extractor.features, extractor.labels):
        with pytest.raises(ValueError, match=words):
            method(np.full(shape, fill, np.float32), 255.0)


def test_refuses_runs(whole, extractor, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run's workdir"):
        load_extractor(tmp_path)
    with pytest.raises(ValueError, match="a run of task='diffusion'; it takes the run"):
        load_extractor(whole[0])
    other = synthetic.make((9, 9, 1), 3, 30)
    with pytest.raises(ValueError, match=r"images \(8, 8, 1\), .* are \(9, 9, 1\)"):
        load_extractor(extractor.folder, other)
    workdir.save_config(tmp_path, tiny_config(**CLASSIFIER))
    with pytest.raises(FileNotFoundError, match="has no checkpoint yet"):
        load_extractor(tmp_path)
