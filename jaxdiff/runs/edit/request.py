"""The request of an edit, and its result: shared by all kinds of edit.

Result j of image i is drawn from the key of number i num + j alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdiff.arrays import PyTree, require
from jaxdiff.data import masks
from jaxdiff.data.source import Source
from jaxdiff.diffusion.conditions import null_like
from jaxdiff.runs.edit import inputs
from jaxdiff.runs.edit.inputs import EditInputs
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sampler import Sampler


@dataclass(frozen=True)
class EditRequest:
    """The run to edit with, and the flags of launch.edit, whose help explains them.

    images, mask: from Python also pixels u8[n, h, w, c], and bool[h, w]
    """

    run: Experiment
    images: Sequence[str] | np.ndarray = ()
    index: Sequence[str] = ()
    num: int | None = None
    seed: int = 0
    label: int | None = None
    mask: str | np.ndarray = ""
    strength: float = 0.6
    factor: int = 2
    method: str = ""
    resize: bool = False
    png: bool = False
    every: bool = False
    nfe: int = 100

    @property
    def source(self) -> Source:
        return self.run.source

    def count(self, default: int) -> int:
        """--num, or the default of the kind."""
        num = default if self.num is None else self.num
        require(num >= 1, f"--num must be at least 1, got {num}")
        return num

    def inputs(self, shape: tuple[int, ...] = ()) -> EditInputs:
        """From files of that shape, by default the model's; or from the run's data."""
        require(
            (len(self.images) > 0) != (len(self.index) > 0),
            "which image? Give --image=FILE, or --data_index=0,1,2 for the run's own "
            "data (one of the two)",
        )
        if len(self.index):
            return inputs.from_data(self.index, self.source)
        shape = shape or self.source.shape
        if isinstance(self.images, np.ndarray):
            return inputs.from_pixels(self.images, self.source, shape)
        return inputs.from_files(self.images, self.source, shape, self.resize)

    def hidden(self) -> np.ndarray:
        """--mask as bool[h, w, c]: what is drawn anew."""
        require(
            len(self.mask) > 0, "--mask is missing: which part shall be drawn anew?"
        )
        shape = self.source.shape
        return np.broadcast_to(masks.read(self.mask, shape)[..., None], shape)

    def conditions(self, images: EditInputs) -> PyTree:
        """--label, else the conditions of the images, else the null condition."""
        run, task, n = self.run, self.run.task, len(images.values)
        if self.label is not None:
            return run.conditions(n, self.label)
        if not run.num_classes and task.example_cond is None:
            return None
        if images.cond is not None:
            return images.cond
        require(
            task.null is not None and not run.config.sampler.classifier,
            "--label is missing: this model needs a class, and these images have none",
        )
        like = _repeat(task.example_cond, n)
        return jax.tree.map(np.asarray, null_like(task.null, like))

    def draw(
        self,
        sampler: Sampler,
        cond: PyTree,
        num: int,
        n: int,
        **values: np.ndarray,
    ) -> np.ndarray:
        """`num` results of each of n images, f32[n, num, *shape] in model units.

        cond: leading with n.  values: f32[n num, ...], see Sampler.draw.
        """
        args = self.run.params, self.seed, np.arange(n * num), _repeat(cond, num)
        return sampler.draw(*args, **values).reshape(n, num, *self.source.shape)

    def result(
        self, rows: Sequence[str], cond: PyTree, x: np.ndarray, **fields
    ) -> EditResult:
        """Of n rows, from f32[n, k, *shape] in model units that cond[n] gave.

        fields: of EditResult.
        """
        k, shape = x.shape[1], self.source.shape
        values = self.source.decode(x.reshape(-1, *shape)).reshape(x.shape)
        labels = self.run.labels_of(cond)
        saved = {} if labels is None else {"labels": _repeat(labels, k)}
        saved |= fields.pop("saved", {})
        names = [str(j + 1) for j in range(k)]
        made = EditResult(values, rows, names, {}, {}, "", saved)
        return made._replace(**fields)


class EditResult(NamedTuple):
    """values: f32[n, k, h, w, c], k results of each of n images, in data units
    rows:   n names of images.  names: k names of results, for the columns
    before, after: columns beside them, name -> f32[n, h, w, c] in data units
    summary: what was done
    saved:  for edited.npz, beside values, seeds and images
    """

    values: np.ndarray
    rows: Sequence[str]
    names: Sequence[str]
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    summary: str
    saved: dict[str, Any]


def mean_error(source: Source, gap: np.ndarray) -> float:
    """Mean absolute difference of pixels, where black to white is 2."""
    return float(np.abs(gap).mean() * 2 / source.peak)


def _repeat(tree: PyTree, num: int) -> PyTree:
    return jax.tree.map(lambda a: np.repeat(a, num, axis=0), tree)
