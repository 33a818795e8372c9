"""How well a model infers columns from columns, on rows that it never saw.

Of every one of FOLDS parts of the table, with as much of each class as can be: train on
the others, then ask of the rows left out

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
from jaxdiff.runs.sampler import make_sampler
from jaxdiff.runs.train import loop as train
from jaxdiff.tasks.task import Task
from jaxdiff.train.ema import primary

FOLDS, VOTES, DRAWS = 5, 100, 500

# (given columns of n rows, num, question 1 or 2) -> all columns of n num rows, `num`
# for each row given, one after the other
Ask = Callable[[Columns, int, int], Columns]


class Found(NamedTuple):
    """kinds:     the classes, k of them, sorted
    confusion: i64[k, k], rows left out by true and by inferred class
    within:    {column: f64[k]}, how many rows of each class lie in their interval
    """

    kinds: list[str]
    confusion: np.ndarray
    within: dict[str, np.ndarray]


def bench_inverse(config: ConfigDict, out: Path | None) -> list[dict[str, Any]]:
    """Questions 1 and 2 as lines of a table, and as out/inverse.png; None for none.

    Errors: ValueError for data or a config that they cannot be asked of, before any
    training; FloatingPointError for samples that are not finite.
    """
    source = build.make_source(config)
    target, numbers = _columns(source)
    whole = source.decode(source[np.arange(len(source))]["x"])
    fold = folds(whole[target], FOLDS, config.seed)
    kinds = np.unique(whole[target]).tolist()
    k = len(kinds)
    found = Found(kinds, np.zeros((k, k), int), {n: np.zeros(k) for n in numbers})
    runs = [
        train.prepare(config, Path("bench-writes-nothing"), some)
        for some in (
            table.take(source, np.flatnonzero(fold != i)) for i in range(FOLDS)
        )
    ]
    for i, run in enumerate(runs):
        ask = make_ask(config, run.source, run.task, primary(train.fit(run).ema))
        rows = {name: v[fold == i] for name, v in whole.items()}
        inferred = vote(ask, rows, target, kinds)
        np.add.at(found.confusion, (_places(kinds, rows[target]), inferred), 1)
        for name, counts in cover(ask, rows, target, kinds, numbers).items():
            found.within[name] += counts
    if out is not None:
        coverage = {n: v / found.confusion.sum(1) for n, v in found.within.items()}
        nominal = QUANTILES[-1] - QUANTILES[0]
        conditionals.save_inverse(
            out / "inverse.png", kinds, found.confusion, coverage, nominal, target
        )
    return as_rows(found, target)


def make_ask(config: ConfigDict, source: Source, task: Task, params: PyTree) -> Ask:
    """How a trained model of a table is asked."""

    def ask(given, num, question):
        assert source.layout, "`_columns` has seen to it"
        values, mask = encode_rows(source.layout, given)
        values = np.repeat(values, num, axis=0)
        sampler = make_sampler(config, source, task, mask=mask)
        # a seed apart for each question: other numbers, whatever their order
        seed, index = config.seed + question, np.arange(len(values))
        x = sampler.draw(params, seed, index, None, values=values)
        if not np.isfinite(x).all():
            raise FloatingPointError(
                "the samples are not finite; look at the training's loss with "
                "launch.train"
            )
        return source.decode(x)

    return ask


def folds(kinds: np.ndarray, num: int, seed: int) -> np.ndarray:
    """The part i64[n] of each row: of every class in turn, in an order by the seed.

    Errors: ValueError for a class of fewer rows than parts.
    """
    order = permutation(seed, 0, len(kinds))
    fold = np.empty(len(kinds), int)
    for kind in np.unique(kinds):
        rows = order[kinds[order] == kind]
        require(
            len(rows) >= num,
            f"class {str(kind)!r} has {len(rows)} rows for {num} parts; leave it out "
            "of the table, or add rows",
        )
        fold[rows] = np.arange(len(rows)) % num
    return fold


def vote(ask: Ask, rows: Columns, target: str, kinds: list[str]) -> np.ndarray:
    """Question 1: the place i64[n], among the kinds, of the class of each row."""
    given = {name: v for name, v in rows.items() if name != target}
    votes = _places(kinds, ask(given, VOTES, 1)[target]).reshape(-1, VOTES)
    counts = np.stack([(votes == i).sum(axis=1) for i in range(len(kinds))], axis=1)
    return counts.argmax(axis=1)


def cover(
    ask: Ask, rows: Columns, target: str, kinds: list[str], numbers: list[str]
) -> dict[str, np.ndarray]:
    """Question 2: {column: i64[k]}, how many rows of each class are in its interval."""
    drawn = ask({target: np.array(kinds)}, DRAWS, 2)
    found = {}
    for name in numbers:
        ends = [interval(values) for values in drawn[name].reshape(-1, DRAWS)]
        own = [rows[name][rows[target] == kind] for kind in kinds]
        found[name] = np.array(
            [inside(v, *end).sum() for v, end in zip(own, ends, strict=True)]
        )
    return found


def as_rows(found: Found, target: str) -> list[dict[str, Any]]:
    """Accuracy and coverage by class and over all rows, as lines of one table."""
    sizes = found.confusion.sum(axis=1)

    def line(question, measure, counts, totals):
        shares = dict(zip(found.kinds, map(float, counts / totals), strict=True))
        overall = float(counts.sum() / totals.sum())
        return {"question": question, "measure": measure, **shares, "all": overall}

    lines = [
        line(f"{target} given the rest", "accuracy", found.confusion.diagonal(), sizes)
    ]
    for name, counts in found.within.items():
        lines.append(line(f"{name} given {target}", "coverage", counts, sizes))
    every = np.sum(list(found.within.values()), axis=0)
    totals = sizes * len(found.within)
    return [*lines, line(f"all given {target}", "coverage", every, totals)]


def _columns(source):
    """The first column of categories, and the names of all of numbers."""
    columns = source.layout.columns if source.layout else ()
    classes = [c.name for c in columns if c.categories]
    numbers = [c.name for c in columns if not c.categories]
    require(
        classes and numbers,
        "inverse is for tables of at least one column of categories and one of "
        "numbers; configs/iris.py is one",
    )
    return classes[0], numbers


def _places(kinds, values):
    return np.searchsorted(kinds, values)
