"""The 8x8 digits, and made-up pictures."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from jaxdiff.data import digits, synthetic


def test_all_digits():
    source = digits.make()
    batch = source[np.arange(len(source))]
    raw = load_digits()
    assert (len(source), source.shape, source.num_classes) == (1797, (8, 8, 1), 10)
    assert (batch["x"][..., 0] == raw.images / 8 - 1).all()
    assert (batch["cond"] == raw.target).all()
    assert (source.decode(batch["x"])[..., 0] == raw.images).all()
    assert source.peak == 16


def test_chosen_digits_become_classes_in_the_order_given():
    source = digits.make(labels=(8, 1), low=0.0)
    batch = source[np.arange(len(source))]
    raw = load_digits()
    assert source.class_names == ("8", "1")
    assert source.num_classes == 2
    keep = np.isin(raw.target, (8, 1))
    assert (batch["x"][..., 0] == raw.images[keep] / 16).all()
    assert (np.array([8, 1])[batch["cond"]] == raw.target[keep]).all()


@pytest.mark.parametrize("labels", [(10,), (-1,), (3, 3)])
def test_labels_that_are_not_there(labels):
    with pytest.raises(ValueError, match="different numbers from 0 to 9"):
        digits.make(labels=labels)


@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 12, 3)])
def test_synthetic_classes_can_be_separated(shape):
    """The nearest class mean names the class: there is something to learn."""
    source = synthetic.make(shape, num_classes=4, num_examples=80)
    batch = source[np.arange(80)]
    x, label = batch["x"].reshape(80, -1), batch["cond"]
    assert -1 <= x.min() < x.max() <= 1
    means = np.stack([x[:40][label[:40] == k].mean(axis=0) for k in range(4)])
    distance = ((x[40:, None] - means) ** 2).sum(axis=-1)
    assert (distance.argmin(axis=1) == label[40:]).mean() > 0.9


def test_synthetic_draws_are_uniform_and_differ():
    draws = synthetic.uniforms(3, np.arange(200), 100)
    assert draws.min() >= 0
    assert draws.max() < 1
    # Six standard deviations of the mean of 20,000 uniform numbers.
    assert abs(draws.mean() - 0.5) < 6 * (1 / 12 / draws.size) ** 0.5
    assert len(np.unique(draws)) == draws.size
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.05
    assert (draws != synthetic.uniforms(4, np.arange(200), 100)).all()


def test_synthetic_without_labels():
    source = synthetic.make(num_classes=0)
    assert source[np.arange(3)]["cond"] is None
    assert source.class_names == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shape": (8, 8)}, r"shape=\(8, 8\)"),
        ({"num_examples": 1}, "num_examples=1"),
        ({"seed": -1}, "seed=-1"),
        ({"low": 2.0}, r"low=2\.0"),
    ],
)
def test_synthetic_refuses(fields, words):
    with pytest.raises(ValueError, match=words):
        synthetic.make(**fields)
