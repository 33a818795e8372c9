"""How well the model of a config infers columns from columns, by cross-validation.

For each of FOLDS parts of the table (data/folds.py) a model is trained on the other
parts and infers columns of the rows held out (metrics/inference.py). The class is the
table's first column of categories. A table is standardised by the rows trained on, so
that the rows held out have no part in the model.
"""

from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import PyTree, require
from jaxdiff.data import table
from jaxdiff.data.folds import folds
from jaxdiff.data.layout import Columns, encode_rows
from jaxdiff.data.source import Source
from jaxdiff.metrics import inference
from jaxdiff.metrics.inference import QUANTILES, Infer
from jaxdiff.plots import conditionals
from jaxdiff.runs.train import setup
from jaxdiff.train.ema import primary

FOLDS = 5


def bench_inference(config: ConfigDict, out: Path | None) -> list[dict[str, Any]]:
    """The lines of the table of both questions.

    Args:   out: folder for inference.png; None for no picture.
    Errors: before any training, ValueError if the data have no classes or no numbers,
            or the config does not fit them; FloatingPointError if samples are not
            finite.
    """
    source = build.make_source(config)
    target, numbers = _columns(source)
    whole = source.decode(source[np.arange(len(source))]["x"])
    fold = folds(whole[target], FOLDS, config.seed)
    parts = [table.take(source, np.flatnonzero(fold != i)) for i in range(FOLDS)]
    runs = [setup.prepare(config, None, part) for part in parts]
    classes, every = np.unique(whole[target]).tolist(), []
    for i, run in enumerate(runs):
        infer = make_infer(run, primary(setup.fit(run).ema))
        rows = {name: v[fold == i] for name, v in whole.items()}
        every.append(inference.count(infer, rows, target, classes, numbers))
    counts = reduce(inference.add, every)
    if out is not None:
        nominal = QUANTILES[-1] - QUANTILES[0]
        measured = counts.confusion, counts.coverage
        conditionals.save_inference(
            out / "inference.png", classes, *measured, nominal, target
        )
    return inference.as_rows(counts, target)


def make_infer(run: setup.Run, params: PyTree) -> Infer:
    """The function by which the model of `run` with these parameters infers columns."""
    config, source = run.experiment.config, run.experiment.source

    def infer(given: Columns, num: int, question: int) -> Columns:
        assert source.layout, "`_columns` has seen to it"
        values, mask = encode_rows(source.layout, given)
        values = np.repeat(values, num, axis=0)
        # each question has a seed, so that its samples do not depend on their order
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


def _columns(source: Source) -> tuple[str, list[str]]:
    """The names of the first column of categories and of all columns of numbers."""
    columns = source.layout.columns if source.layout else ()
    classes = [c.name for c in columns if c.categories]
    numbers = [c.name for c in columns if not c.categories]
    require(
        classes and numbers,
        "inference is for tables of at least one column of categories and one of "
        "numbers; configs/iris.py is one",
    )
    return classes[0], numbers
