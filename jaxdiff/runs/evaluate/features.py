"""Images in the features of a classifier, and how far they are from real ones there.

The classifier is that of a run on the same data, or Inception-v3, which takes images of
any data and has 1008 classes. Images are given to it without noise, at t = 0.
All images, the real ones too, are compared as pixels of 8 bits.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial
from tqdm.auto import tqdm

from jaxdiff import upgrades
from jaxdiff.arrays import require
from jaxdiff.data.batches import map_chunks
from jaxdiff.data.orders import even_order
from jaxdiff.data.source import Source, as_pixels
from jaxdiff.files import read_arrays
from jaxdiff.interop import inception, tensors
from jaxdiff.lock import locked
from jaxdiff.metrics import frechet, kernel
from jaxdiff.plots import pictures
from jaxdiff.runs import shards
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.tasks import classifier
from jaxdiff.tasks.task import Apply

# Images in one call, the last ones padded: one shape compiles. Inception takes fewer,
# since its first maps are 10 MB an image.
CHUNK, INCEPTION_CHUNK = 256, 32
# Real images read at once; the largest value of a pixel; the folder of their features.
BATCH, WHITE, REFERENCES = 1024, 255.0, "references"
TRAINED = "a classifier of the data (configs/digits_features.py, fashion_features.py)"
NEEDED = f"the run of {TRAINED}, or Inception's file (README)"
NO_LABELS = f"has other classes than the data; labels need the run of {TRAINED}"


class Extractor(NamedTuple):
    """source: of the images that it takes, in its own units
    classify: logits and features of images in model units
    folder, step: of the run; for Inception the file of its weights, and None
    published: whether it is Inception, whose classes are not the source's, and whose
    features are compared as they are.  chunk: the most images in one call
    """

    source: Source
    classify: classifier.Classify
    folder: Path
    step: int | None
    published: bool = False
    chunk: int = CHUNK

    def features(self, values: np.ndarray, peak: float = WHITE) -> np.ndarray:
        """f32[n, d], the vectors that the logits are linear in.

        Args:   values: f[n, h, w, c] in [0, peak], n >= 1.
        Errors: ValueError for images of another size or number of channels, for values
                out of [0, peak], and for no images.
        """
        return self._apply(classifier.clean_features, values, peak)

    def labels(self, values: np.ndarray, peak: float = WHITE) -> np.ndarray:
        """i32[n], the likeliest classes. Args, Errors: as `features`; ValueError too if
        the extractor has other classes than the data.
        """
        require(not self.published, f"{self.folder} {NO_LABELS}")
        return self._apply(classifier.clean_labels, values, peak)

    def features_and_probabilities(
        self, values: np.ndarray, peak: float = WHITE
    ) -> tuple[np.ndarray, np.ndarray]:
        """f32[n, d] and f32[n, classes] in one pass. Args, Errors: as `features`."""
        return self._apply(classifier.clean_both, values, peak)

    def _apply(self, function: Callable, values: np.ndarray, peak: float) -> Any:
        """function(classify, images in model units) -> arrays f[b, ...], of all."""
        self._check(values, peak)

        def of(rows):
            images = np.asarray(values[rows], np.float32) * (self.source.peak / peak)
            return function(self.classify, self.source.encode(images))

        return map_chunks(of, len(values), min(self.chunk, CHUNK), "features")

    def _check(self, values: np.ndarray, peak: float) -> None:
        require(len(values) >= 1, "there is no image to take features of")
        require(
            values.shape[1:] == self.source.shape,
            f"images are {_size(values.shape[1:])}, but {self.folder} takes "
            f"{_size(self.source.shape)}: bring them to its size",
        )
        low, high = values.min(), values.max()
        require(
            0 <= low and high <= peak,  # false for NaN too
            f"images must have values in [0, {peak:g}], got {low:g} to {high:g}; give "
            "data units, not the model's",
        )


def load_extractor(
    path: Path, source: Source | None = None, name: str = "--features", trust=False
) -> Extractor:
    """The classifier of a run's averaged parameters; of a file of weights, Inception.

    Args:   source: of the images, which Inception needs.  trust: see open_run.
            name: of the flag or field.
    Errors: FileNotFoundError for what is no workdir or has no checkpoint; ValueError
            for a run that is no classifier, or of images of another size, for Inception
            without a source of images, and for files as interop.inception.load.
    """
    if tensors.is_weights(path):
        if source is None or not source.is_image:
            got = "a table" if source else "no data"
            raise ValueError(f"{name}={path} needs data that are images, got {got}")
        network, weights = inception.load(path)
        both = (Partial(Apply(network, features=f), weights) for f in (False, True))
        classify = classifier.Classify(*both)
        return Extractor(as_pixels(source), classify, path, None, True, INCEPTION_CHUNK)
    run = open_run(path, trust=trust)
    require(
        run.task.kind == "classifier",
        f"{name}={path} is a run of task={run.config.task!r}; it takes {NEEDED}",
    )
    require(
        source is None or run.source.shape == source.shape,
        f"{name}={path} takes images {run.source.shape}, and these are "
        f"{source and source.shape}",
    )
    return Extractor(run.source, run.model, path, run.step)


class Seen(NamedTuple):
    """real: f32[m, d], features of the first m real images.  moments: of all of them
    splits: n -> moments of the first n, and of the others
    """

    real: np.ndarray
    moments: frechet.Moments
    splits: dict[int, tuple[frechet.Moments, frechet.Moments]]


@dataclass(frozen=True)
class Reference:
    """Real images in an extractor's features, and the distances of others to them.

    num: how many, drawn by the seed; None for all.  label: of this class alone.
    run: whose images they are, to keep features in its workdir, or None.
    sizes: of the sets to compare. If given, real features are a stream of moments, and
    only as many as the largest set are held in memory.
    """

    extractor: Extractor
    source: Source
    num: int | None = None
    label: int | None = None
    seed: int = 0
    run: Experiment | None = None
    sizes: tuple[int, ...] = ()

    @cached_property
    def index(self) -> np.ndarray:
        """i64[m], the real images in the order in which they are read."""
        return even_order(self.source, self.num, self.seed, self.label)

    @property
    def real(self) -> np.ndarray:
        """f32[m, d], features of the real images; with `sizes`, of the first ones."""
        return self._seen.real

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """f32[n, d] of u8[n, h, w, c]."""
        return self.extractor.features(pixels)

    def distance(self, features: np.ndarray, seed: int = 0) -> dict[str, Any]:
        """`frechet` and `kid` of f32[n, d], by name; seed: of KID's blocks."""
        return {"frechet": self.frechet(features), **self.kid(features, seed)}

    def frechet(self, features: np.ndarray) -> float:
        return frechet.distance(frechet.fit(features), self._seen.moments)

    def kid(self, features: np.ndarray, seed: int = 0) -> dict[str, Any]:
        scaled = not self.extractor.published
        return kernel.kid(features, self.real, seed, rescale=scaled)

    def real_to_real(self, num: int) -> tuple[int, float]:
        """The baseline of the Frechet distance for `num` images: n = min(num, m / 2),
        and the distance of the first n real images, classes even, to the others.
        """
        n, real = min(num, self._seen.moments.count // 2), self.real
        if self.sizes:
            return n, frechet.distance(*self._seen.splits[n])
        return n, frechet.distance(*map(frechet.fit, (real[:n], real[n:])))

    @property
    def record(self) -> dict[str, Any]:
        """What the distances depend on, for the file of results."""
        return {
            "extractor": str(self.extractor.folder),
            "extractor_step": self.extractor.step,
            "features": self.real.shape[1],
            "real_images": self._seen.moments.count,
            "pixels": "real and generated alike rounded to 8 bits",
        }

    @cached_property
    def checksum(self) -> str:
        """16 hexadecimal digits, of the data, their number and order, and the
        extractor's parameters: references/CHECKSUM.npz may come from another machine.
        """
        text = json.dumps(self._about, sort_keys=True, default=list)
        digest = hashlib.sha256(text.encode())
        for leaf in jax.tree.leaves(self.extractor.classify):
            digest.update(np.asarray(leaf).tobytes())
        return digest.hexdigest()[:16]

    @property
    def _about(self) -> dict[str, Any]:
        order = "classes even"
        if self.seed or self.label is not None:
            order += f", seed {self.seed}, label {self.label}"
        return {
            "data": self.run and upgrades.identity(self.run.config, "data"),
            "size": len(self.source),
            "values": self.source.fingerprint and self.source.fingerprint(),
            "images": self.num or len(self.index),
            "pixels": "8 bits",
            "order": order,
        }

    @cached_property
    def _seen(self) -> Seen:
        if not self.sizes:
            real = self._all()
            return Seen(real, frechet.fit(real), {})
        m, most, first = len(self.index), max(self.sizes), []

        def stream(start, stop):
            for part in self._blocks(start, stop):
                first.append(part[: max(0, most - sum(map(len, first)))])
                yield part

        ends = sorted({min(n, m // 2) for n in self.sizes})
        cuts = zip([0, *ends], [*ends, m], strict=True)
        between = [frechet.gather(stream(*cut)) for cut in cuts]
        splits = dict(zip(ends, frechet.splits(between), strict=True))
        return Seen(np.concatenate(first), reduce(frechet.merge, between), splits)

    def _all(self) -> np.ndarray:
        """Features of all real images, from the workdir if it has them."""
        folder = self.run and self.run.workdir  # None where a run is only in memory
        path = folder and folder / REFERENCES / f"{self.checksum}.npz"
        if path and path.is_file():
            return read_arrays(path, "features")["features"]
        real = np.concatenate([*self._blocks(0, len(self.index))])
        if path and os.access(path.parents[1], os.W_OK):
            # without the lock, a run that resumes there deletes unfinished files
            with locked(path.parent, patience=60.0):
                shards.write(path, {"features": real, "about": json.dumps(self._about)})
        return real

    def _blocks(self, start: int, stop: int) -> Iterator[np.ndarray]:
        for at in tqdm(range(start, stop, BATCH), "real images", disable=None):
            x = self.source[self.index[at : min(at + BATCH, stop)]]["x"]
            yield self.features(to_pixels(self.source, x))


def to_pixels(source: Source, x: np.ndarray) -> np.ndarray:
    """Model units f32[n, *source.shape] to u8[n, h, w, c]."""
    return pictures.to_uint8(source.decode(x), source.peak)


def _size(shape):
    if len(shape) != 3:
        return f"of shape {(*shape,)}"
    return f"{shape[1]}x{shape[0]} of {shape[2]} channel{'s' * (shape[2] > 1)}"
