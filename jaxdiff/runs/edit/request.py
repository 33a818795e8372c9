"""What launch.edit is asked for, and what comes of it: shared by all kinds of edit.

Result j of image i is drawn from the seed of number i num + j alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.runs.edit import inputs as starting
from jaxdiff.runs.experiment import Trained, load
from jaxdiff.runs.sample.run import check_label
from jaxdiff.runs.sampler import Sampler, make_sampler, num_asked


@dataclass(frozen=True)
class Ask:
    """What launch.edit was asked for; its flags say what each field means."""

    workdir: Path
    config: ConfigDict
    out: Path
    images: Sequence[str] = ()
    index: Sequence[str] = ()
    num: int | None = None
    seed: int = 0
    label: int | None = None
    mask: str = ""
    strength: float = 0.6
    factor: int = 2
    method: str = ""
    resize: bool = False
    png: bool = False
    every: bool = False
    calls: int = 100

    @cached_property
    def trained(self) -> Trained:
        return load(self.workdir, self.config)

    @property
    def source(self) -> Source:
        return self.trained.source

    def sampler(self, **how: Any) -> Sampler:
        return make_sampler(self.config, self.source, self.trained.task, **how)

    def count(self, usual: int) -> int:
        num = usual if self.num is None else self.num
        require(num >= 1, f"--num must be at least 1, got {num}")
        return num

    def originals(self, shape: tuple[int, ...] = ()) -> starting.Originals:
        """Of files in that shape, by default the model's; or of the run's data."""
        require(
            bool(self.images) != bool(self.index),
            "which image? Give --image=FILE, or --data_index=0,1,2 for the run's own "
            "data (one of the two)",
        )
        if self.index:
            return starting.from_data(self.index, self.source)
        shape = shape or self.source.shape
        return starting.from_files(self.images, self.source, shape, self.resize)

    def encoded(self, given: starting.Originals) -> np.ndarray:
        """In model units, f32[n, h, w, c]."""
        return self.source.encode(given.values)

    def labels(self, given: np.ndarray | None, num: int) -> np.ndarray | None:
        """--label, else the images' own i32[num], else the model's "no label"."""
        classes, null = num_asked(self.config, self.source), self.trained.task.null
        if self.label is not None:
            check_label(self.label, classes, self.source)
            return np.full(num, self.label, np.int32)
        if not classes or given is not None:
            return given if classes else None
        require(
            null is not None and not self.config.sampler.classifier,
            "--label is missing: this model cannot do without a class, and it is not "
            "known of these images",
        )
        return np.full(num, null, np.int32)


class Edited(NamedTuple):
    """values: f32[n, k, h, w, c], k results of each of n images, in data units
    names:  of the results, k for the columns
    before, after: columns beside them, name -> f32[n, h, w, c] in data units
    rows:   n names
    said:   what was done, for people
    saved:  for edited.npz, beside values, seeds and images
    """

    values: np.ndarray
    names: Sequence[str]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    rows: Sequence[str]
    said: str
    saved: dict[str, Any]


Work = Callable[[], Edited]


def draw(
    ask: Ask,
    sampler: Sampler,
    labels: np.ndarray | None,
    num: int,
    n: int,
    **values: np.ndarray,
) -> np.ndarray:
    """`num` for each of n images: f32[n, num, *shape] in model units.

    labels: i32[n].  values: as of Sampler.draw, f32[n num, ...].
    """
    labels = None if labels is None else repeated(labels, num)
    args = ask.trained.params, ask.seed, np.arange(n * num), labels
    return sampler.draw(*args, **values).reshape(n, num, *ask.source.shape)


def as_edited(
    ask: Ask, rows: Sequence[str], labels: np.ndarray | None, x: np.ndarray
) -> Edited:
    """Of n rows, from f32[n, k, *shape] in model units, drawn for i32[n] labels."""
    k = x.shape[1]
    values = ask.source.decode(x.reshape(-1, *ask.source.shape)).reshape(x.shape)
    saved = {} if labels is None else {"labels": repeated(labels, k)}
    return Edited(values, [str(j + 1) for j in range(k)], {}, {}, rows, "", saved)


def repeated(a: np.ndarray, num: int) -> np.ndarray:
    """Each of f[n, ...] `num` times, one after the other."""
    return np.repeat(a, num, axis=0)


def counted(given: starting.Originals, num: int) -> str:
    return f"{len(given.values)} images, {num} of each"


def calls(sampler: Sampler) -> str:
    return f"{sampler.calls()} network calls each"


def mean_error(source: Source, gap: np.ndarray) -> float:
    """Of pixels, where black to white is 2."""
    return float(np.abs(gap).mean() * 2 / source.peak)
