"""A run in memory: its data, its task, its parameters, and how it samples.

What an experiment consists of is made when it is first needed, and once. Other runs
that it names (a first stage, a base, a classifier, a weaker model) are experiments too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build, fields
from jaxdiff.arrays import PyTree, require
from jaxdiff.data import compare, holdout
from jaxdiff.data import record as records
from jaxdiff.data.record import Record
from jaxdiff.data.source import Source
from jaxdiff.diffusion.types import Schedule
from jaxdiff.plots import pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.first_stage import make_first_stage
from jaxdiff.runs.sampler import Base, Guides, Sampler, make_base, make_sampler, no_base
from jaxdiff.tasks.task import Task
from jaxdiff.train import snapshots

# What a run that guides another must have in common with it.
ALIKE = ("data", "diffusion.schedule", "diffusion.scaling", "diffusion.noise")
HELD = ("data.holdout",)
NAMED = ("classifier", "weak", "base")  # other runs that a sampler takes


@dataclass(frozen=True, eq=False)
class Experiment:
    """config: of the run; its sampler block may differ from the stored one.  workdir:
    None for a config alone.  data: instead of all of config.data.  trust: of runs that
    it names, see load_config."""

    config: ConfigDict
    workdir: Path | None = None
    data: Source | None = None
    trust: bool = False
    _runs: dict[tuple[str, Path], Experiment] = field(default_factory=dict, repr=False)

    @cached_property
    def source(self) -> Source:
        """What the model is trained on: images, tables, or the codes of images."""
        d = self.config.data
        if self.data is not None:
            return compare.fit(self.record, holdout.split(self.data, d.holdout))
        latent = d.name == "latents"
        stage = make_first_stage(self.autoencoder, d.checksum) if latent else None
        return build.make_source(self.config, stage, self.record)

    @cached_property
    def record(self) -> Record | None:
        """What the run has stored of its data; None for an older run."""
        return records.load(self.workdir)

    @property
    def autoencoder(self) -> Experiment:
        """The run whose codes are the data. Errors: ValueError, FileNotFoundError."""
        return self._run("data.path", "autoencoder")

    @cached_property
    def images(self) -> Source:
        """What samples are compared with: where the data are codes, their images."""
        if self.config.data.name != "latents":
            return self.source
        whole = replace(self.autoencoder.source, holdout=None)
        return holdout.split(whole, self.config.data.holdout)

    @property
    def is_image(self) -> bool:
        """Whether the data are images, or codes of images. A run's record has it."""
        by_name = self.data is None and self.record is None
        return fields.kind(self.config, None if by_name else self.source) != fields.ROWS

    @cached_property
    def schedule(self) -> Schedule:
        return build.make_schedule(self.config)

    @cached_property
    def task(self) -> Task:
        return build.make_task(self.config, self.source, lambda: self.schedule)

    @cached_property
    def _averages(self) -> tuple[int, PyTree]:
        """Step and averaged parameters of the newest whole checkpoint."""
        shapes = jax.eval_shape(self.task.init, jax.random.key(0))
        widths, width = self.config.train.ema_widths, self.config.sampler.ema
        folder = self.path / files.CHECKPOINTS
        return snapshots.restore_average(self.path, folder, shapes, widths, width)

    @property
    def path(self) -> Path:
        """The workdir. Errors: ValueError for a config without a run."""
        if self.workdir is None:
            raise ValueError("this needs a trained run: give its --workdir")
        return self.workdir

    @property
    def step(self) -> int:
        return self._averages[0]

    def made(self, named: Sequence[str] = NAMED) -> dict[str, Any]:
        """What a record has of this run and of those that its sampler names."""
        s, made = self.config.sampler, files.made_by(self.path, self.step)
        return made | {f"{n}_run": getattr(self, n).made() for n in named if s[n]}

    @property
    def params(self) -> PyTree:
        """The average of the parameters that config.sampler.ema chooses."""
        return self._averages[1]

    @cached_property
    def model(self) -> Any:
        """What the task makes of the parameters: a denoiser, classifier or coder."""
        return self.task.model(self.params)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        return files.read_metrics(self.workdir) if self.workdir else []

    @property
    def classifier(self) -> Experiment:
        """The classifier that guides. Errors: ValueError, FileNotFoundError."""
        return self._run("sampler.classifier", "classifier", ALIKE)

    @property
    def weak(self) -> Experiment:
        also = (*ALIKE, "diffusion.condition")
        return self._run("sampler.weak", "denoiser", also)

    @property
    def base(self) -> Experiment:
        require(self.config.sampler.base, no_base(self.config.diffusion.low_size))
        return self._run("sampler.base", "denoiser")

    @property
    def is_upsampler(self) -> bool:
        return self.task.is_upsampler

    @property
    def num_classes(self) -> int:
        """Classes that samples can have: the model's, or those of its classifier."""
        if self.config.sampler.classifier:
            return self.source.num_classes
        return build.num_labels(self.config, self.source)

    def with_sampler(self, **fields: Any) -> Experiment:
        """The same run with other fields of config.sampler; what is read stays read."""
        config = self.config.copy_and_resolve_references()
        config.sampler.update(fields)
        other = replace(self, config=config)
        made = {name: getattr(self, name) for name in ("source", "task")}
        equal = config.sampler.ema == self.config.sampler.ema
        kept = ("images", "log", "schedule", *(("_averages", "model") if equal else ()))
        vars(other).update({k: vars(self)[k] for k in kept if k in vars(self)} | made)
        return other

    def measured(self) -> Experiment:
        """The same run, whose config holds what was measured of its data."""
        config = build.measured(self.config, self.source)
        return replace(self, config=config, data=self.source)

    def on_holdout(self) -> Experiment:
        """The same run, with what it holds out as its data if that is anything."""
        if not self.source.holdout:
            return self
        other, images = self.with_sampler(), self.images.holdout
        vars(other).update(source=self.source.holdout(), images=images and images())
        return other

    def sampler(self, *, with_base: bool = True, **how: Any) -> Sampler:
        """The sampler of config.sampler; `how`: see make_sampler.

        with_base: an upsampler draws the small images too. Without, it is given them.
        Errors: ValueError, FileNotFoundError for what does not fit.
        """
        s = self.config.sampler
        guides = Guides(
            self.classifier.model if s.classifier else None,
            self.weak.model if s.weak else None,
            self._small() if with_base and self.is_upsampler else None,
        )
        parts = self.config, self.source, self.task, self.schedule
        return make_sampler(*parts, guides, **how)

    def conditions(self, num: int, label: int | None = None) -> PyTree:
        """Of `num` samples: that class, or as many of each class as can be, in order.

        Returns: i32[num]; of other conditions those of the first examples, or None.
        Errors: ValueError for a label that is none of the classes.
        """
        classes, source = self.num_classes, self.source
        if label is not None:
            require(classes, f"--label {label}: this model was trained without labels")
            return np.full(num, source.class_of(label), np.int32)
        if classes:
            return (np.arange(num) * classes // num).astype(np.int32)
        takes = self.task.example_cond is not None
        return source[np.arange(num) % len(source)]["cond"] if takes else None

    def labels_of(self, cond: PyTree) -> np.ndarray | None:
        """The labels i32[n] of conditions; None where these are no labels."""
        return cond if self.num_classes else None

    def pixels(self, x: Any) -> np.ndarray:
        """Model units f32[..., *source.shape] to pixels u8[..., h, w, c]."""
        shape = self.source.shape
        values = self.source.decode(np.asarray(x).reshape(-1, *shape))
        pixels = pictures.to_uint8(values, self.source.peak)
        return pixels.reshape(*x.shape[: -len(shape)], *pixels.shape[1:])

    def _run(self, field: str, kind: str, alike: Sequence[str] = ()) -> Experiment:
        """The run that a field of the config names, whose parameters are read now.

        alike: blocks and fields that must equal this run's; so are then the data.
        Errors: ValueError, also for a run of another kind; FileNotFoundError.
        """
        block, name = field.split(".")
        folder = Path(self.config[block][name])
        if (field, folder) in self._runs:
            return self._runs[field, folder]
        try:
            config = files.load_config(folder, self.trust)
        except FileNotFoundError as error:
            text = f"{field}: {error} (it names the run of {_a(kind)})"
            raise FileNotFoundError(text) from None
        held = config.data.holdout == self.config.data.holdout
        differ = files.differing(config, self.config, within=alike, but=HELD)
        data = self.source if alike and held else None
        run = Experiment(config, folder, data, self.trust)
        if rules := [text for text in differ if text.startswith("data.rules=")]:
            # older rules may read the same files as other classes or columns
            theirs = replace(run, data=None).source
            differ = [text for text in differ if text not in rules]
            differ += compare.misfits(records.of(self.source), theirs)
        text = f"{field}: {folder} was trained with other settings: {'; '.join(differ)}"
        require(not differ, text)
        text = f"{field}: {folder} holds {_a(run.task.kind)}, no {kind}"
        require(run.task.kind == kind, text)
        times = config.diffusion.times
        require(
            kind != "classifier" or not times.startswith("constant"),
            f"{field}: {folder} was trained at a single noise level (diffusion.times="
            f"{times}) and cannot guide; take a classifier of noisy data",
        )
        _ = run.params
        self._runs[field, folder] = run
        if not alike:
            compare.peek(run.record, run.source, config.data.path)
        return run

    def _small(self) -> Base:
        """The run of an upsampler's small images, as it makes them alone."""
        run, size, source = self.base, self.config.diffusion.low_size, self.source
        shape, inner = (size, size, source.shape[-1]), run.source
        fits = inner.is_image and inner.shape == shape
        require(
            fits and self.num_classes in (0, run.num_classes),
            f"sampler.base: {run.path} makes {inner.shape} of {run.num_classes} "
            f"classes, and this run enlarges {shape} of {self.num_classes}",
        )
        return make_base(run.sampler(), run.params, inner, source, run.num_classes)


def open_run(
    workdir: Path,
    config: ConfigDict | None = None,
    source: Source | None = None,
    trust: bool = False,
) -> Experiment:
    """A trained run: its parameters are read now.

    Args:   config: of the run with another sampler block; by default the stored one.
            source: of config.data, or that given in Python.  trust: see load_config.
    Errors: FileNotFoundError without a run or checkpoint; ValueError, see files.
    """
    if config is None:
        config = files.load_config(workdir, trust)
    else:
        config = files.recall(workdir, config)
        files.check_unchanged(workdir, config)
    run = Experiment(config, workdir, source, trust)
    _ = run.params
    compare.peek(run.record, run.source, config.data.path)
    return run


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
