"""How well a model infers columns of a table from others, on held-out rows.

Question 1: the class, given all other columns. The answer is the most frequent class of
    VOTES samples per row; it is scored by its accuracy.
Question 2: each number, given the class alone. The answer is the interval from the 5 %
    to the 95 % quantile of DRAWS samples; it is scored by its coverage, the share of
    rows within it, which is .9 for the true conditional distribution.

The model is passed in as the function that infers.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Columns = Mapping[str, np.ndarray]

VOTES, DRAWS = 100, 500
# The outer two bound the interval.
QUANTILES = (0.05, 0.5, 0.95)

# (given columns of n rows, num, question 1 or 2) -> all columns, of `num` samples for
# the first row, then `num` for the second, and so on
Infer = Callable[[Columns, int, int], Columns]


class Counts(NamedTuple):
    """Answers to both questions, counted over some rows of k classes.

    classes:   sorted
    confusion: i64[k, k], rows by true and by inferred class
    within:    {column: i64[k]}, the rows of each class that lie in its interval
    """

    classes: list[str]
    confusion: np.ndarray
    within: dict[str, np.ndarray]

    @property
    def sizes(self) -> np.ndarray:
        """The number of rows of each class, i64[k]."""
        return self.confusion.sum(axis=1)

    @property
    def coverage(self) -> dict[str, np.ndarray]:
        """{column: f64[k]}, the share of each class's rows in its interval."""
        return {name: hits / self.sizes for name, hits in self.within.items()}


def count(
    infer: Infer, rows: Columns, target: str, classes: list[str], numbers: list[str]
) -> Counts:
    """The answers to both questions for `rows`.

    Args: rows: all columns of rows that the model was not trained on.
          target: the name of the column of classes.  classes: all of them, sorted.
          numbers: the names of the columns of numbers to infer.
    """
    confusion = np.zeros((len(classes), len(classes)), int)
    true, inferred = _places(classes, rows[target]), vote(infer, rows, target, classes)
    np.add.at(confusion, (true, inferred), 1)
    return Counts(classes, confusion, cover(infer, rows, target, classes, numbers))


def vote(infer: Infer, rows: Columns, target: str, classes: list[str]) -> np.ndarray:
    """Question 1: the inferred class of each row, i64[n], as an index of `classes`."""
    given = {name: v for name, v in rows.items() if name != target}
    votes = _places(classes, infer(given, VOTES, 1)[target]).reshape(-1, VOTES)
    counts = np.stack([(votes == i).sum(axis=1) for i in range(len(classes))], axis=1)
    return counts.argmax(axis=1)


def cover(
    infer: Infer, rows: Columns, target: str, classes: list[str], numbers: list[str]
) -> dict[str, np.ndarray]:
    """Question 2: {column: i64[k]}, the rows of each class that lie in its interval."""
    drawn = infer({target: np.array(classes)}, DRAWS, 2)
    within = {}
    for name in numbers:
        ends = [interval(values) for values in drawn[name].reshape(-1, DRAWS)]
        real = [rows[name][rows[target] == one] for one in classes]
        within[name] = np.array(
            [inside(v, *end).sum() for v, end in zip(real, ends, strict=True)]
        )
    return within


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 5 % and 95 % quantiles of f[n]."""
    low, high = np.quantile(values, [QUANTILES[0], QUANTILES[-1]])
    return float(low), float(high)


def inside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Whether each of f[n] is in the interval or at its ends, bool[n].

    The interval is widened by 1e-9 of its larger end: tenths of a centimetre are not
    exact in binary, and quantiles of equal numbers are interpolated.
    """
    hair = 1e-9 * max(abs(low), abs(high))
    return (values >= low - hair) & (values <= high + hair)


def add(a: Counts, b: Counts) -> Counts:
    """The counts over the rows of both; their classes and columns are the same."""
    within = {name: hits + b.within[name] for name, hits in a.within.items()}
    return Counts(a.classes, a.confusion + b.confusion, within)


def as_rows(counts: Counts, target: str) -> list[dict[str, Any]]:
    """Accuracy and coverage, for each class and for all rows: one dict per line."""
    classes, sizes, within = counts.classes, counts.sizes, counts.within

    def line(question, measure, hits, totals):
        rows = zip(classes, hits, totals, strict=True)
        shares = {name: hit / n if n else None for name, hit, n in rows}
        overall = float(hits.sum() / totals.sum())
        return {"question": question, "measure": measure, **shares, "all": overall}

    right = counts.confusion.diagonal()
    lines = [line(f"{target} given the rest", "accuracy", right, sizes)]
    for name, hits in within.items():
        lines.append(line(f"{name} given {target}", "coverage", hits, sizes))
    every, totals = np.sum([*within.values()], axis=0), sizes * len(within)
    return [*lines, line(f"all given {target}", "coverage", every, totals)]


def _places(classes: list[str], values: np.ndarray) -> np.ndarray:
    """The index of each value in the sorted classes, i64[n]."""
    return np.searchsorted(classes, values)
