"""The score of classifiers whose answers are plain."""

import numpy as np
import pytest

from jaxdiff.metrics.inception_score import inception_score


def test_sure_and_even_is_the_number_of_classes():
    p = np.eye(5)[np.sort(np.arange(10_000) % 5)]  # class by class, as we sample
    # of 1,000 a part a class has 200 +- 13
    assert inception_score(p).value == pytest.approx(5, rel=0.01)


def test_always_the_same_answer_is_one():
    score = inception_score(np.full((40, 4), 0.25))
    assert score.value == pytest.approx(1) and score.error == pytest.approx(0)


def test_between_by_hand():
    # rows (a, 1 - a), (1 - a, a): their mean is even, so KL = log 2 - entropy
    a = 0.9
    p = np.array([[a, 1 - a], [1 - a, a]] * 2000)
    expected = np.exp(np.log(2) + a * np.log(a) + (1 - a) * np.log(1 - a))
    assert inception_score(p).value == pytest.approx(expected, rel=0.01)


def test_mistakes():
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(np.ones((40, 3)))
    with pytest.raises(ValueError, match="at least 20 images, got 4"):
        inception_score(np.full((4, 2), 0.5))
