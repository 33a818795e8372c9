"""A kind of picture, and the request to draw some."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import rng
from jaxdiff.arrays import Array, require
from jaxdiff.data.batches import permutation
from jaxdiff.data.orders import classes_in_turn, to_show
from jaxdiff.runs.evaluate.features import (
    NO_LABELS,
    TRAINED,
    Extractor,
    load_extractor,
)
from jaxdiff.runs.experiment import Experiment

# {name: numbers, text, or arrays of them}, for KIND.json.
Numbers = dict[str, Any]
# Images in a strip: by default, and at most; with labels one of each class, if there
# are no more than CLASSES.
FEW, MOST, CLASSES = 4, 8, 20
FREE = "trained with labels and diffusion.label_dropout > 0"


@dataclass(frozen=True)
class PlotRequest:
    """run: what is drawn; for some kinds a config alone, without a workdir.

    seed: of noise, samples and the real images shown.
    num: images or rows, None for as many as suit the kind.  steps: of the film.
    solvers, nfe: what nfe compares, () for all.
    every: all schedules beside the run's own.
    beside: another run, for the kinds that compare some.  more: runs beside these two.
    features: the classifier's run, or Inception's file, that looks at samples.
    label: a class, by name or number, for the kinds that have one.
    """

    run: Experiment
    seed: int = 0
    num: int | None = None
    steps: int | None = None
    solvers: tuple[str, ...] = ()
    nfe: tuple[int, ...] = ()
    every: bool = False
    beside: Experiment | None = None
    more: tuple[Experiment, ...] = ()
    features: Path | None = None
    label: str | None = None

    @property
    def target(self) -> int | None:
        """The number of the class `label`. Errors: ValueError if there is none."""
        return None if self.label is None else self.run.source.class_of(self.label)

    @property
    def others(self) -> tuple[Experiment, ...]:
        """All runs that are drawn beside the first one."""
        return (self.beside, *self.more) if self.beside else ()

    @property
    def most(self) -> int:
        """Images in a strip, at most."""
        return max(MOST, min(self.run.source.num_classes, CLASSES))

    def shown(self, num: int) -> np.ndarray:
        """Which of num samples a strip shows, i64[n]."""
        return to_show(num, self.run.labels_of(self.run.conditions(num)), self.most)

    @cached_property
    def extractor(self) -> Extractor:
        """Errors: ValueError, FileNotFoundError for what does not fit the run."""
        assert self.features, "the spec's misfit refuses a request without features"
        source = self.run.images
        extractor = load_extractor(self.features, source, trust=self.run.trust)
        require(
            extractor.source.class_names == source.class_names,
            f"--features {self.features} has other classes than the run",
        )
        return extractor

    @property
    def no_labels(self) -> str:
        """Why no extractor names the classes of samples, or ""."""
        if not self.features:
            return f"needs --features=WORKDIR: {TRAINED}"
        if not self.extractor.published:
            return ""
        return f"needs other --features: {self.features} {NO_LABELS}"

    def read(self, need: str) -> None:
        """Read what a picture needs, see PlotSpec. Errors: where it does not fit."""
        if need == "extractor":
            _ = self.extractor
        elif need != "log":
            _ = self.run.sampler() if need == "sampler" else self.run.params

    def keys(self, index: np.ndarray) -> Array:
        """key[n]: the keys of the samples of those numbers i64[n]."""
        return rng.split_by(jax.random.key(self.seed), jnp.asarray(index))

    def draw(self, num: int, **fields: Any) -> np.ndarray:
        """`num` samples of the run, f32[num, *shape] in model units, even classes.

        fields: of config.sampler, to be used instead of the run's.
        """
        run = self.run.with_sampler(**fields) if fields else self.run
        index = np.arange(num)
        cond = self.run.conditions(num)
        return run.sampler().draw(run.params, self.seed, index, cond)

    def names(self, word: str, labels: np.ndarray | None, num: int) -> list[str]:
        """Of the rows of a strip, n different ones: "image 1 (setosa)"."""
        classes = self.run.source.class_names
        suffix = [""] * num if labels is None else [f" ({classes[k]})" for k in labels]
        return [f"{word} {i + 1}{suffix[i]}" for i in range(num)]


def names_of(runs: Sequence[Experiment]) -> list[str]:
    """Different names of runs: of their folders, with the path where two are equal."""
    count = Counter(run.path.name for run in runs)
    names = [(run.path.name, str(run.path)) for run in runs]
    return [name if count[name] == 1 else path for name, path in names]


def in_strip(request: PlotRequest) -> tuple[int, float | int]:
    """PlotSpec.num of strips of images."""
    return 1, request.most


def is_upsampler(request: PlotRequest) -> str:
    """For kinds that are not for an upsampler."""
    if not request.run.is_upsampler:
        return ""
    return "is not for an upsampler, whose preview shows what it makes of images"


def always(value: Any) -> Callable[[PlotRequest], Any]:
    """The same of every request."""
    return lambda request: value


class PlotSpec(NamedTuple):
    """draw:    (PlotRequest, path) -> the Numbers that the picture shows
    data:    what it draws, of "images" and "tables"; () for both, without reading them
    task:    the config.task whose runs it draws; "" for all
    pairs:   how many other runs it can draw beside this one
    quick:   whether "all" includes it
    needs:   what a request's picture depends on beside data and config, read before
             any work by PlotRequest.read: "log", "params", "sampler", "extractor"
    takes:   the fields of a request that change it, of the names in run.FLAGS
    num:     the least and the most of request.num
    real:    whether it compares with real images: those held out, if any are
    sets:    the fields of config.sampler that it sets itself, whatever a user gives
    misfit:  why a request that fits all of this cannot be drawn, or ""
    pixels:  whether it shows images, which --invert changes
    """

    draw: Callable[[PlotRequest, Path], Numbers]
    data: tuple[str, ...] = ()
    task: str = "diffusion"
    pairs: int = 0
    quick: bool = True
    needs: Callable[[PlotRequest], tuple[str, ...]] = always(())
    takes: tuple[str, ...] = ("num", "seed")
    num: Callable[[PlotRequest], tuple[int, float | int]] = always((1, math.inf))
    real: bool = False
    sets: tuple[str, ...] = ()
    misfit: Callable[[PlotRequest], str] = always("")
    pixels: bool = False


# Of trained models of images, by the features of their samples.
quality_spec = partial(
    PlotSpec, data=("images",), needs=always(("extractor", "sampler")), real=True
)


def settings(request: PlotRequest, num: int) -> Numbers:
    """How the samples of a picture are drawn."""
    s, how = request.run.config.sampler, {"samples": num, "seed": request.seed}
    how |= {"step": request.run.step, "grid": s.grid, "guidance": s.guidance}
    return how | {"solver": s.solver, "steps": s.num_steps}


def real_images(
    request: PlotRequest, few: int = FEW, most: int = 0
) -> tuple[np.ndarray, np.ndarray | None, Array]:
    """Images f32[n, h, w, c] of every class in turn, labels i32[n] or None, keys.

    n is request.num or `few`, but no more than `most`, or request.most.
    """
    source = request.run.source
    index = permutation(request.seed, 0, len(source))[:256]
    batch = source[index]
    labels = batch["cond"] if source.num_classes else np.zeros(len(index), int)
    chosen = classes_in_turn(labels)[: min(request.num or few, most or request.most)]
    shown = labels[chosen] if source.num_classes else None
    return batch["x"][chosen], shown, request.keys(index[chosen])
