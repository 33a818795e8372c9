"""What launch.evaluate can say of samples beside real ones: each metric by its name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.arrays import require
from jaxdiff.choices import hint
from jaxdiff.data.source import Source
from jaxdiff.metrics import frechet, kernel, neighbours, transport, two_sample
from jaxdiff.metrics.inception_score import inception_score
from jaxdiff.runs.evaluate import features as judging

# The metric that looks at real data only (bits.py).
BITS = "bits"
# Rows of a block of the kernel distance, and blocks wanted.
BLOCK, BLOCKS = 100, 10


class Sides(NamedTuple):
    """What metrics look at: of images f32[n, d], of tables columns by name.

    probabilities: the judge's of each generated image, f32[n, classes]
    labels: of each generated image what it is to be, i32[n], or None
    published: see Judge
    """

    real: Any
    made: Any
    probabilities: Any
    labels: Any
    seed: int
    published: bool = False


class Metric(NamedTuple):
    """of:      "images" or "tables"
    compute: Sides -> name -> value; NAME_error is the standard error of NAME
    numbers: columns of numbers that a table must have
    labels: whether it needs labels, and a judge of their classes
    """

    of: str
    compute: Callable[[Sides], dict[str, float]]
    numbers: int = 0
    labels: bool = False


def kernel_distance(
    x: np.ndarray, y: np.ndarray, seed: int, published: bool = False
) -> dict[str, Any]:
    """`kernel.block_mmd` of features x and of real ones y, by blocks.

    Both are divided by the root mean square of y: a trained judge's features are of any
    scale, and the kernel means something for values about 1. Not so features whose
    distances are `published` as they are (KID of Inception's). Blocks have at most
    BLOCK rows, so that there are BLOCKS; None where a set is too small for two of two.
    """
    size = max(2, min(BLOCK, min(len(x), len(y)) // BLOCKS))
    if min(len(x), len(y)) < 2 * size:
        return {"kernel": None, "kernel_error": None, "kernel_block": None}
    scale = 1.0 if published else np.sqrt(np.mean(np.square(y, dtype=np.float64)))
    found = kernel.block_mmd(x / scale, y / scale, size, seed)
    return {
        "kernel": found.value,
        "kernel_error": found.error,
        "kernel_block": size,
    }


def _kernel(sides):
    found = kernel_distance(sides.made, sides.real, sides.seed, sides.published)
    return {k: v for k, v in found.items() if k != "kernel_block"}


def _inception(sides):
    found = inception_score(sides.probabilities, seed=sides.seed)
    return {"inception_score": found.value, "inception_score_error": found.error}


def _own_label(sides):
    right = sides.probabilities.argmax(axis=1) == sides.labels
    error = right.std(ddof=1) / len(right) ** 0.5
    return {"own_label": float(right.mean()), "own_label_error": float(error)}


def _columns(sides):
    apart = transport.columns(sides.real, sides.made)
    return {f"apart: {name}": value for name, value in apart.items()}


def _forest(sides):
    real, made = two_sample.as_features(sides.real, sides.made)
    n = min(len(real), len(made))  # as many of each: a guess is right half the time
    accuracy = two_sample.two_sample_accuracy(real[:n], made[:n], sides.seed)
    return {"two_sample_accuracy": accuracy}


METRICS = {
    "frechet": Metric(
        "images",
        lambda s: {"frechet": frechet.distance(*map(frechet.fit, (s.made, s.real)))},
    ),
    "kernel": Metric("images", _kernel),
    "precision": Metric(
        "images", lambda s: neighbours.precision_recall(s.real, s.made)._asdict()
    ),
    "density": Metric(
        "images", lambda s: neighbours.density_coverage(s.real, s.made)._asdict()
    ),
    "inception": Metric("images", _inception),
    "own_label": Metric("images", _own_label, labels=True),
    "sliced": Metric(
        "images", lambda s: {"sliced": transport.sliced(s.real, s.made, seed=s.seed)}
    ),
    "columns": Metric("tables", _columns),
    "correlations": Metric(
        "tables",
        lambda s: {"correlation_gap": transport.correlation_gap(s.real, s.made)},
        numbers=2,
    ),
    "two_sample": Metric("tables", _forest),
}


def wanted(
    metrics: list[str],
    source: Source,
    judge: Path | None,
    given: bool,
    labelled: bool,
) -> list[str]:
    """Which metrics to look at: those asked for, or all that fit.

    Args:   given: whether somebody's images are looked at, instead of samples.
            labelled: whether it is known what each is to be.
    Errors: ValueError for an unknown one, and for one that does not fit.
    """
    known = [*METRICS, BITS]
    for name in metrics:
        require(
            name in known,
            f"--metrics has no {name!r}{hint(name, known)}; there are "
            f"{', '.join(known)}",
        )
    kind = "images" if source.is_image else "tables"
    fitting = [name for name, metric in METRICS.items() if metric.of == kind]
    columns = source.layout.columns if source.layout else ()
    numbers = sum(not column.categories for column in columns)
    known_classes = labelled and not (judge and judging.is_inception(judge))
    for name, metric in METRICS.items():
        if metric.of != kind:
            continue
        why = ""
        if metric.numbers > numbers:
            why = f"{metric.numbers} columns of numbers, the data have {numbers}"
        elif metric.labels and not known_classes:
            why = "images with labels, and a judge that is a classifier of their data"
        if why:
            require(name not in metrics, f"--metrics={name} needs {why}")
            fitting.remove(name)
    chosen = metrics or [*fitting, *([] if given else [BITS])]
    for name in chosen:
        require(
            name == BITS or name in fitting,
            f"--metrics={name} is for {METRICS.get(name, METRICS['frechet']).of}; this "
            f"run makes {kind}",
        )
    seen = [name for name in chosen if name != BITS]
    require(
        judge is not None or not seen or kind == "tables",
        f"--metrics={','.join(seen)} needs --judge=WORKDIR: {judging.WANTED}",
    )
    return chosen
