"""How well a model infers columns from columns, on rows that it never saw.

The table is cut into FOLDS parts, each with as much of every class as can be. For each
part a model is trained on the others, and infers of the rows left out

(1)  the class, given all other columns:  the most frequent of VOTES samples a row
(2)  each number, given the class alone:  whether it lies within the 5-95 % quantiles of
     DRAWS samples, which a true conditional has nine times of ten

The class is the table's first column of categories. Means and standard deviations are
those of the rows trained on, so that nothing of the others is known beforehand.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import PyTree, require
from jaxdiff.data import table
from jaxdiff.data.batches import permutation
from jaxdiff.data.layout import Columns, encode_rows
from jaxdiff.data.source import Source
from jaxdiff.plots import conditionals
from jaxdiff.runs.sample.columns import QUANTILES, inside, interval
from jaxdiff.runs.train import setup
from jaxdiff.train.ema import primary

FOLDS, VOTES, DRAWS = 5, 100, 500

# (given columns of n rows, num, question 1 or 2) -> all columns of n num rows, `num`
# for each row given, one after the other
Infer = Callable[[Columns, int, int], Columns]


class Counts(NamedTuple):
    """classes:   k of them, sorted
    confusion: i64[k, k], rows left out by true and by inferred class
    within:    {column: f64[k]}, how many rows of each class lie in their interval
    """

    classes: list[str]
    confusion: np.ndarray
    within: dict[str, np.ndarray]


def bench_inference(config: ConfigDict, out: Path | None) -> list[dict[str, Any]]:
    """Questions 1 and 2 as lines of a table, and as out/inference.png; None for none.

    Errors: ValueError for data or a config that they cannot be asked of, before any
    training; FloatingPointError for samples that are not finite.
    """
    source = build.make_source(config)
    target, numbers = _columns(source)
    whole = source.decode(source[np.arange(len(source))]["x"])
    fold = folds(whole[target], FOLDS, config.seed)
    parts = [table.take(source, np.flatnonzero(fold != i)) for i in range(FOLDS)]
    runs = [setup.prepare(config, None, part) for part in parts]
    classes = np.unique(whole[target]).tolist()
    k = len(classes)
    counts = Counts(classes, np.zeros((k, k), int), {n: np.zeros(k) for n in numbers})
    for i, run in enumerate(runs):
        infer = make_infer(run, primary(setup.fit(run).ema))
        rows = {name: v[fold == i] for name, v in whole.items()}
        inferred = vote(infer, rows, target, classes)
        np.add.at(counts.confusion, (_places(classes, rows[target]), inferred), 1)
        for name, within in cover(infer, rows, target, classes, numbers).items():
            counts.within[name] += within
    if out is not None:
        coverage = {n: v / counts.confusion.sum(1) for n, v in counts.within.items()}
        nominal = QUANTILES[-1] - QUANTILES[0]
        path = out / "inference.png"
        conditionals.save_inference(
            path, classes, counts.confusion, coverage, nominal, target
        )
    return as_rows(counts, target)


def make_infer(run: setup.Run, params: PyTree) -> Infer:
    """How a model of a table, trained to `params`, infers the columns not given."""
    config, source = run.experiment.config, run.experiment.source

    def infer(given: Columns, num: int, question: int) -> Columns:
        assert source.layout, "`_columns` has seen to it"
        values, mask = encode_rows(source.layout, given)
        values = np.repeat(values, num, axis=0)
        # a seed apart for each question: other numbers, whatever their order
        seed, index = config.seed + question, np.arange(len(values))
        sampler = run.experiment.sampler(mask=mask)
        x = sampler.draw(params, seed, index, None, values=values)
        if not np.isfinite(x).all():
            raise FloatingPointError(
                "the samples are not finite; look at the training's loss with "
                "launch.train"
            )
        return source.decode(x)

    return infer


def folds(classes: np.ndarray, num: int, seed: int) -> np.ndarray:
    """The part i64[n] of each row: of every class in turn, in an order by the seed.

    classes: of each row, str[n].
    Errors: ValueError for a class of fewer rows than parts.
    """
    order = permutation(seed, 0, len(classes))
    fold = np.empty(len(classes), int)
    for name in np.unique(classes):
        rows = order[classes[order] == name]
        require(
            len(rows) >= num,
            f"class {str(name)!r} has {len(rows)} rows for {num} parts; leave it out "
            "of the table, or add rows",
        )
        fold[rows] = np.arange(len(rows)) % num
    return fold


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


def as_rows(counts: Counts, target: str) -> list[dict[str, Any]]:
    """Accuracy and coverage by class and over all rows, as lines of one table."""
    classes, confusion, within = counts
    sizes = confusion.sum(axis=1)

    def line(question, measure, hits, totals):
        shares = dict(zip(classes, map(float, hits / totals), strict=True))
        overall = float(hits.sum() / totals.sum())
        return {"question": question, "measure": measure, **shares, "all": overall}

    lines = [line(f"{target} given the rest", "accuracy", confusion.diagonal(), sizes)]
    for name, hits in within.items():
        lines.append(line(f"{name} given {target}", "coverage", hits, sizes))
    every = np.sum(list(within.values()), axis=0)
    totals = sizes * len(within)
    return [*lines, line(f"all given {target}", "coverage", every, totals)]


def _columns(source: Source) -> tuple[str, list[str]]:
    """The first column of categories, and the names of all of numbers."""
    columns = source.layout.columns if source.layout else ()
    classes = [c.name for c in columns if c.categories]
    numbers = [c.name for c in columns if not c.categories]
    require(
        classes and numbers,
        "inference is for tables of at least one column of categories and one of "
        "numbers; configs/iris.py is one",
    )
    return classes[0], numbers


def _places(classes: list[str], values: np.ndarray) -> np.ndarray:
    """Where among the sorted classes each value is, i64[n]."""
    return np.searchsorted(classes, values)
