"""What a picture of a run can be drawn of: its config, data, parameters and log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import rng
from jaxdiff.arrays import Array, require
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.diffusion.denoisers import Denoise
from jaxdiff.plots import pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.experiment import Trained, load, make_source
from jaxdiff.runs.sampler import (
    Base,
    Sampler,
    even_labels,
    load_base,
    make_sampler,
    num_asked,
)

# Images in a strip: by default, and at most.
FEW, MOST = 4, 8


@dataclass(frozen=True)
class Scene:
    """What there is to draw, read when it is first asked for.

    workdir: None where there is only a config.  num: images or rows, None for as many
    as suit the kind.  steps: of the film.  every: all schedules beside the run's own.
    beside: another run, with the same seed and num, for the kinds that compare two.
    judge: what looks at samples, see judge.load_judge.
    """

    config: ConfigDict
    workdir: Path | None = None
    seed: int = 0
    num: int | None = None
    steps: int = 5
    every: bool = False
    beside: Scene | None = None
    judge: Path | None = None

    @cached_property
    def trained(self) -> Trained:
        assert self.workdir, "`check` has seen to it"
        return load(self.workdir, self.config)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        return files.read_metrics(self.workdir) if self.workdir else []

    @cached_property
    def source(self) -> Source:
        has_run = self.workdir and (self.workdir / files.CHECKPOINTS).is_dir()
        return self.trained.source if has_run else make_source(self.config)

    @cached_property
    def base(self) -> Base | None:
        return load_base(self.config, self.source)

    @cached_property
    def sampler(self) -> Sampler:
        return self.sampler_with()

    def sampler_with(self, **fields: Any) -> Sampler:
        """The run's sampler with some fields of config.sampler changed."""
        config = self.config.copy_and_resolve_references()
        config.sampler.update(fields)
        return make_sampler(config, self.source, self.trained.task, base=self.base)

    @cached_property
    def judged(self) -> judging.Judge:
        """Errors: ValueError, FileNotFoundError for what cannot judge this run."""
        assert self.judge, "`misfit` has seen to it"
        found = judging.load_judge(self.judge, self.source)
        require(
            found.source.class_names == self.source.class_names,
            f"--judge {self.judge} knows other classes than the run",
        )
        return found

    @cached_property
    def denoise(self) -> Denoise:
        return self.trained.task.model(self.trained.params)

    def labels(self, num: int) -> np.ndarray | None:
        """Those of `num` samples, i32[num] or None."""
        return even_labels(num, num_asked(self.config, self.source))

    def keys(self, index: np.ndarray) -> Array:
        return rng.split_by(jax.random.key(self.seed), jnp.asarray(index))

    def pixels(self, x: Any) -> np.ndarray:
        """Model units f32[..., *source.shape] to pixels u8[..., h, w, c]."""
        shape = self.source.shape
        values = self.source.decode(np.asarray(x).reshape(-1, *shape))
        pixels = pictures.to_uint8(values, self.source.peak)
        return pixels.reshape(*x.shape[: -len(shape)], *pixels.shape[1:])

    def names(self, word: str, labels: np.ndarray | None, num: int) -> list[str]:
        """Of the rows of a strip; different, for they are the keys of a dict."""
        classes = self.source.class_names
        of = [""] * num if labels is None else [f" ({classes[k]})" for k in labels]
        return [f"{word} {i + 1}{of[i]}" for i in range(num)]


def fits(scene: Scene) -> str:
    """Any scene does."""
    return ""


def enlarges(scene: Scene) -> str:
    """For kinds that are not for an upsampler."""
    if not scene.config.diffusion.low_size:
        return ""
    return "is not for an upsampler, whose preview shows what it makes of images"


class Kind(NamedTuple):
    """draw:    (Scene, path) -> None
    data:    what it is for, of "images" and "tables"; () for any, unread
    trained: whether it needs a run, not its config alone
    task:    the one whose runs it is for, as config.task; "" for any
    pairs:   whether it lays two runs side by side
    quick:   whether it is of those that "all" draws
    needs:   what of the scene must be there before any work, "judged" or "sampler"
    misfit:  why it cannot be drawn of a scene that fits the above, or ""
    """

    draw: Callable[[Scene, Path], None]
    data: tuple[str, ...]
    trained: bool
    task: str = "diffusion"
    pairs: bool = False
    quick: bool = True
    needs: tuple[str, ...] = ()
    misfit: Callable[[Scene], str] = fits


# Of trained models of images, by what a judge sees in their samples.
judged_kind = partial(Kind, data=("images",), trained=True, needs=("judged", "sampler"))


def save_figures(path: Path, figures: dict[str, Any]) -> None:
    """What a picture tells in numbers, in KIND.json beside it (launch.results)."""
    path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


def real_images(
    scene: Scene, few: int = FEW, most: int = MOST
) -> tuple[np.ndarray, np.ndarray | None, Array]:
    """Images f32[n, h, w, c] of every class in turn, labels i32[n] or None, keys.

    n is scene.num or `few`, but no more than `most`.
    """
    index = permutation(scene.seed, 0, len(scene.source))[:256]
    batch = scene.source[index]
    labels = batch.get("label", np.zeros(len(index), int))
    # how many of its class come before each: all the firsts, then the seconds...
    rank = [(labels[:i] == k).sum() for i, k in enumerate(labels)]
    chosen = np.lexsort((labels, rank))[: min(scene.num or few, most)]
    shown = labels[chosen] if "label" in batch else None
    return batch["x"][chosen], shown, scene.keys(index[chosen])
