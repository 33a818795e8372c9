"""How well a model infers columns of a table from others, on rows that it never saw.

(1)  the class, given all other columns:  the most frequent of VOTES samples a row
(2)  each number, given the class alone:  whether it lies within the 5-95 % quantiles of
     DRAWS samples, which a true conditional has nine times of ten

The model is passed in, as the function that infers.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Columns = Mapping[str, np.ndarray]

VOTES, DRAWS = 100, 500
# The outer two bound the interval, which holds nine rows of ten.
QUANTILES = (0.05, 0.5, 0.95)

# (given columns of n rows, num, question 1 or 2) -> all columns of n num rows, `num`
# for each row given, one after the other
Infer = Callable[[Columns, int, int], Columns]


class Counts(NamedTuple):
    """classes:   k of them, sorted
    confusion: i64[k, k], rows by true and by inferred class
    within:    {column: i64[k]}, how many rows of each class lie in their interval
    """

    classes: list[str]
    confusion: np.ndarray
    within: dict[str, np.ndarray]

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each class, i64[k]."""
        return self.confusion.sum(axis=1)

    @property
    def coverage(self) -> dict[str, np.ndarray]:
        """{column: f64[k]}, shares of the rows of each class."""
        return {name: hits / self.sizes for name, hits in self.within.items()}


def count(
    infer: Infer, rows: Columns, target: str, classes: list[str], numbers: list[str]
) -> Counts:
    """Questions 1 and 2 about all columns of rows that the model was not trained on.

    Args: target: the column of the classes, str[n].  classes: sorted.
          numbers: the columns of numbers to infer, f64[n].
    """
    confusion = np.zeros((len(classes), len(classes)), int)
    true, inferred = _places(classes, rows[target]), vote(infer, rows, target, classes)
    np.add.at(confusion, (true, inferred), 1)
    return Counts(classes, confusion, cover(infer, rows, target, classes, numbers))


def vote(infer: Infer, rows: Columns, target: str, classes: list[str]) -> np.ndarray:
    """Question 1: the place i64[n], among the classes, of the class of each row."""
    given = {name: v for name, v in rows.items() if name != target}
    votes = _places(classes, infer(given, VOTES, 1)[target]).reshape(-1, VOTES)
    counts = np.stack([(votes == i).sum(axis=1) for i in range(len(classes))], axis=1)
    return counts.argmax(axis=1)


def cover(
    infer: Infer, rows: Columns, target: str, classes: list[str], numbers: list[str]
) -> dict[str, np.ndarray]:
    """Question 2: {column: i64[k]}, how many rows of each class are in its interval."""
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
    """bool[n]: within the interval, its ends included.

    A hair wider: tenths of a centimetre are no binary fractions, and quantiles of
    equal numbers are interpolated.
    """
    hair = 1e-9 * max(abs(low), abs(high))
    return (values >= low - hair) & (values <= high + hair)


def add(a: Counts, b: Counts) -> Counts:
    """The counts of the rows of both, of the same classes and columns."""
    within = {name: hits + b.within[name] for name, hits in a.within.items()}
    return Counts(a.classes, a.confusion + b.confusion, within)


def as_rows(counts: Counts, target: str) -> list[dict[str, Any]]:
    """Accuracy and coverage by class and over all rows, as lines of one table."""
    classes, sizes, within = counts.classes, counts.sizes, counts.within

    def line(question, measure, hits, totals):
        shares = dict(zip(classes, map(float, hits / totals), strict=True))
        overall = float(hits.sum() / totals.sum())
        return {"question": question, "measure": measure, **shares, "all": overall}

    right = counts.confusion.diagonal()
    lines = [line(f"{target} given the rest", "accuracy", right, sizes)]
    for name, hits in within.items():
        lines.append(line(f"{name} given {target}", "coverage", hits, sizes))
    every, totals = np.sum([*within.values()], axis=0), sizes * len(within)
    return [*lines, line(f"all given {target}", "coverage", every, totals)]


def _places(classes: list[str], values: np.ndarray) -> np.ndarray:
    """Where among the sorted classes each value is, i64[n]."""
    return np.searchsorted(classes, values)
