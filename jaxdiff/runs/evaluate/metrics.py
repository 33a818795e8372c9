"""The metrics of launch.evaluate, by name: a metric is a function and an entry here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.data.source import Source
from jaxdiff.metrics import neighbours, transport, two_sample
from jaxdiff.metrics.inception_score import inception_score
from jaxdiff.runs.evaluate.features import NEEDED, Extractor, Reference


class Pair(NamedTuple):
    """What a metric compares: features f32[n, d] of images, or a table's columns.

    reference: for images, the real ones.  seed: of blocks, parts and forests
    probabilities: the extractor's, of each generated image, f32[n, classes]
    labels: the classes of which generated images should be, i32[n], or None
    bpd: name -> value, from likelihood.py
    """

    real: Any = None
    generated: Any = None
    seed: int = 0
    reference: Reference | None = None
    probabilities: Any = None
    labels: np.ndarray | None = None
    bpd: Any = None


class Metric(NamedTuple):
    """data:    what it is for, of "images" and "tables"
    compute: Pair -> name -> value; NAME_error is the standard error of NAME
    numbers: columns of numbers that a table must have
    labels:  whether it needs labels, and an extractor of their classes
    samples: whether it compares samples; if not, it is of the real data alone
    """

    data: tuple[str, ...]
    compute: Callable[[Pair], dict[str, Any]]
    numbers: int = 0
    labels: bool = False
    samples: bool = True


def _frechet(pair):
    return {"frechet": pair.reference.frechet(pair.generated)}


def _kid(pair):
    values = pair.reference.kid(pair.generated, pair.seed)
    return {name: values[name] for name in ("kid", "kid_error")}


def _precision(pair):
    return neighbours.precision_recall(pair.real, pair.generated)._asdict()


def _density(pair):
    return neighbours.density_coverage(pair.real, pair.generated)._asdict()


def _inception(pair):
    score = inception_score(pair.probabilities, seed=pair.seed)
    return {"inception_score": score.value, "inception_score_error": score.error}


def _label_accuracy(pair):
    right = pair.probabilities.argmax(axis=1) == pair.labels
    error = right.std(ddof=1) / len(right) ** 0.5
    return {"label_accuracy": float(right.mean()), "label_accuracy_error": float(error)}


def _sliced(pair):
    return {"sliced": transport.sliced(pair.real, pair.generated, seed=pair.seed)}


def _columns(pair):
    distances = transport.columns(pair.real, pair.generated)
    return {f"apart: {name}": value for name, value in distances.items()}


def _correlations(pair):
    return {"correlation_gap": transport.correlation_gap(pair.real, pair.generated)}


def _two_sample(pair):
    real, generated = two_sample.as_features(pair.real, pair.generated)
    n = min(len(real), len(generated))  # as many of each: chance is one half
    accuracy = two_sample.two_sample_accuracy(real[:n], generated[:n], pair.seed)
    return {"two_sample_accuracy": accuracy}


IMAGES, TABLES = ("images",), ("tables",)
METRICS = {
    "frechet": Metric(IMAGES, _frechet),
    "kid": Metric(IMAGES, _kid),
    "precision": Metric(IMAGES, _precision),
    "density": Metric(IMAGES, _density),
    "inception": Metric(IMAGES, _inception),
    "label_accuracy": Metric(IMAGES, _label_accuracy, labels=True),
    "sliced": Metric(IMAGES, _sliced),
    "columns": Metric(TABLES, _columns),
    "correlations": Metric(TABLES, _correlations, numbers=2),
    "two_sample": Metric(TABLES, _two_sample),
    "bpd": Metric(IMAGES + TABLES, lambda pair: pair.bpd, samples=False),
}


def choose(
    names: list[str],
    source: Source,
    extractor: Extractor | None,
    *,
    labelled: bool,
    given: bool,
) -> list[str]:
    """The metrics of these names, or for [] all that fit.

    Args:   labelled: whether the classes of the images are known.
            given: whether they are somebody's, instead of the run's own samples.
    Errors: ValueError for an unknown name, and for a metric that does not fit.
    """
    for name in names:
        require(
            name in METRICS,
            f"--metrics has no {name!r}{hint(name, METRICS)}",
        )
    labelled = labelled and not (extractor and extractor.published)
    misfits = {name: _misfit(name, source, labelled) for name in names or METRICS}
    for name in names:
        require(not misfits[name], f"--metrics={name} {misfits[name]}")
    fitting = [name for name, why in misfits.items() if not why]
    chosen = names or [n for n in fitting if METRICS[n].samples or not given]
    compared = [name for name in chosen if METRICS[name].samples]
    require(
        extractor is not None or not compared or not source.is_image,
        f"--metrics={','.join(compared)} needs --features=PATH: {NEEDED}",
    )
    return chosen


def _misfit(name: str, source: Source, labelled: bool) -> str:
    """Why a metric is not for such data, or ""."""
    metric, kind = METRICS[name], "images" if source.is_image else "tables"
    columns = source.layout.columns if source.layout else ()
    numbers = sum(not column.categories for column in columns)
    if kind not in metric.data:
        return f"is for {metric.data[0]}; this run makes {kind}"
    if metric.numbers > numbers:
        return f"needs {metric.numbers} columns of numbers, the data have {numbers}"
    if metric.labels and not labelled:
        return "needs images with labels, and --features of a classifier of the data"
    return ""
