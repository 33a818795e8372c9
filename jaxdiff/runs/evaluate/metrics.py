"""The metrics of launch.evaluate, by name.

A metric is a file of jaxdiff/metrics with a `make`; or, if it is made of more than the
two sides that it compares, a function and an entry in METRICS.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from jaxdiff import metrics as metric_home
from jaxdiff.arrays import require
from jaxdiff.choices import hint, members
from jaxdiff.data.source import Source
from jaxdiff.metrics import transport
from jaxdiff.metrics.averages import average, floats
from jaxdiff.metrics.inception_score import inception_score
from jaxdiff.metrics.neighbours import density_coverage, precision_recall
from jaxdiff.metrics.transport import correlation_gap, sliced
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

    @property
    def both(self) -> tuple[Any, Any]:
        return self.real, self.generated


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


def _kid(pair):
    values = pair.reference.kid(pair.generated, pair.seed)
    return {name: values[name] for name in ("kid", "kid_error")}


def _inception(pair):
    return inception_score(pair.probabilities, seed=pair.seed).named("inception_score")


def _label_accuracy(pair):
    right = pair.probabilities.argmax(axis=1) == pair.labels
    return average(right).named("label_accuracy")


def _columns(pair):
    distances = transport.columns(*pair.both)
    return {f"apart: {name}": value for name, value in distances.items()}


def _of_file(name: str, make: Callable) -> Metric:
    """Of its DATA, from what it makes. Without DATA it cannot be chosen."""
    data = getattr(import_module(make.__module__), "DATA", ())
    return Metric(data, lambda p: floats(name, make()(p.real, p.generated, p.seed)))


IMAGES, TABLES = ("images",), ("tables",)
METRICS = {
    "frechet": Metric(IMAGES, lambda p: {"frechet": p.reference.frechet(p.generated)}),
    "kid": Metric(IMAGES, _kid),
    "precision": Metric(IMAGES, lambda p: precision_recall(*p.both)._asdict()),
    "density": Metric(IMAGES, lambda p: density_coverage(*p.both)._asdict()),
    "inception": Metric(IMAGES, _inception),
    "label_accuracy": Metric(IMAGES, _label_accuracy, labels=True),
    "sliced": Metric(IMAGES, lambda p: {"sliced": sliced(*p.both, seed=p.seed)}),
    "columns": Metric(TABLES, _columns),
    "correlations": Metric(
        TABLES, lambda p: {"correlation_gap": correlation_gap(*p.both)}, numbers=2
    ),
    "bpd": Metric(IMAGES + TABLES, lambda p: p.bpd, samples=False),
} | {name: _of_file(name, make) for name, make in members(metric_home).items()}


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
    if not metric.data:
        return "lacks DATA: write DATA = ('tables',) or ('images',) in its file"
    if kind not in metric.data:
        return f"is for {metric.data[0]}; this run makes {kind}"
    if metric.numbers > numbers:
        return f"needs {metric.numbers} columns of numbers, the data have {numbers}"
    if metric.labels and not labelled:
        return "needs images with labels, and --features of a classifier of the data"
    return ""
