"""Titles of metrics: every metric has one, with its direction."""

import pytest

from jaxdiff.metrics import titles
from jaxdiff.runs.evaluate.metrics import METRICS


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("frechet", "lower"),
        ("frechet, real-to-real of 500", ""),
        ("kid", "lower"),
        ("recall", "higher"),
        ("apart: petal, length", "lower"),
        ("bpd, discrete: codes", "lower"),
        ("two_sample_accuracy", "near 0.5"),
    ],
)
def test_a_number_has_the_direction_of_its_metric(name, better):
    assert titles.title(name).better == better


def test_every_metric_of_an_evaluation_has_a_title():
    # the names of two metrics' numbers are others than theirs
    of = {"inception": "inception_score", "columns": "apart"}
    of |= {"two_sample": "two_sample_accuracy", "correlations": "correlation_gap"}
    for name in METRICS:
        assert of.get(name, name) in titles.TITLES


def test_a_metric_without_a_title_is_called_by_its_name():
    assert titles.title("mine, of rows").axis() == "mine"


def test_a_title_states_its_direction_and_details():
    assert titles.title("frechet").axis("20 samples") == (
        "Fréchet distance, 20 samples (lower is better)"
    )
    assert titles.title("kid").short == "KID ↓"
    assert titles.title("label_accuracy").short == "label accuracy ↑"
