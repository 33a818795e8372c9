"""What a picture is drawn of: a run or a config, read as far as is needed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff import keys as keying
from jaxdiff.arrays import Array
from jaxdiff.data.source import Source
from jaxdiff.diffusion.denoisers import Denoise
from jaxdiff.plots import pictures
from jaxdiff.runs import sample
from jaxdiff.runs import workdir as files


@dataclass(frozen=True)
class Scene:
    """What there is to draw, read when it is first asked for.

    workdir: None where there is only a config.  num: images or rows, None for as many
    as suit the kind.  steps: of the film.  every: all schedules beside the run's own.
    """

    config: ConfigDict
    workdir: Path | None = None
    seed: int = 0
    num: int | None = None
    steps: int = 5
    every: bool = False

    @cached_property
    def trained(self) -> sample.Trained:
        assert self.workdir, "`check` has seen to it"
        return sample.load(self.workdir, self.config)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        return files.read_metrics(self.workdir) if self.workdir else []

    @cached_property
    def source(self) -> Source:
        has_run = self.workdir and (self.workdir / files.CHECKPOINTS).is_dir()
        return self.trained.source if has_run else build.make_source(self.config)

    @cached_property
    def sampler(self) -> sample.Sampler:
        return sample.make_sampler(self.config, self.source, self.trained.task)

    @cached_property
    def denoise(self) -> Denoise:
        return self.trained.task.model(self.trained.params)

    def labels(self, num: int) -> np.ndarray | None:
        """Those of `num` samples, i32[num] or None."""
        return sample.even_labels(num, sample.num_asked(self.config, self.source))

    def keys(self, index: np.ndarray) -> Array:
        return keying.split_by(jax.random.key(self.seed), jnp.asarray(index))

    def names(self, word: str, labels: np.ndarray | None, num: int) -> list[str]:
        """A name for each row of a strip; different, for they are keys of a dict."""
        classes = self.source.class_names
        of = [""] * num if labels is None else [f" ({classes[k]})" for k in labels]
        return [f"{word} {i + 1}{of[i]}" for i in range(num)]

    def pixels(self, x: np.ndarray | Array) -> np.ndarray:
        """Model units f32[..., h, w, c] of any leading axes to u8 of that shape."""
        values = self.source.decode(np.asarray(x).reshape(-1, *self.source.shape))
        return pictures.to_uint8(values, self.source.peak).reshape(x.shape)
