"""Mean images, by hand."""

import numpy as np

from jaxdiff.data import means, synthetic


def test_the_mean_by_hand(monkeypatch):
    source = synthetic.make((4, 4, 1), 3, 300)
    every = source[np.arange(300)]["x"]
    mean, num = means.mean_image(source)
    np.testing.assert_allclose(mean, every.mean(0), atol=1e-6)
    assert num == 300 and mean.dtype == np.float32
    # a hundred of them, evenly spread
    monkeypatch.setattr(means, "MOST", 100)
    mean, num = means.mean_image(source)
    np.testing.assert_allclose(mean, every[::3].mean(0), atol=1e-6)
    assert num == 100


def test_the_means_of_classes_by_hand(monkeypatch):
    source = synthetic.make((4, 4, 1), 3, 300)
    monkeypatch.setattr(means, "CHUNK", 7)
    batch = source[np.arange(300)]
    got = means.class_means(source, [2, 0, 2])
    by_hand = [batch["x"][batch["cond"] == k].mean(0) for k in (2, 0, 2)]
    np.testing.assert_allclose(got, by_hand, atol=1e-6)
    monkeypatch.setattr(means, "MOST", 1)
    first = int(batch["cond"][0])
    others = [k for k in range(3) if k != first]
    np.testing.assert_array_equal(
        means.class_means(source, others), np.zeros((2, 4, 4, 1))
    )
