"""Samples beside their nearest training images: are they copies?"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.metrics import copies, latents
from jaxdiff.plots import neighbours, pictures
from jaxdiff.runs.plot.spec import (
    Numbers,
    PlotRequest,
    PlotSpec,
    is_upsampler,
    settings,
)

# Samples, and images of the baseline at most; samples and neighbours in the picture.
MANY, MOST_BASELINE, ROWS, NEAREST = 200, 2000, 6, 3
# Training images read at once.
BATCH = 1024


class Near(NamedTuple):
    """distances, rows: of the nearest training images of each sample, [n, NEAREST]
    baseline: nearest distances of the baseline, f[m]
    """

    distances: np.ndarray
    rows: np.ndarray
    baseline: np.ndarray


def draw_neighbours(request: PlotRequest, path: Path) -> Numbers:
    """The samples nearest to training images beside these, in pixels and in features,
    and the nearest distances of all samples beside those of held-out images.
    """
    run, training = request.run, request.run.images
    num = request.num or MANY
    samples = run.pixels(request.draw(num))
    index, others = baseline_of(request)
    held = "held-out images" if others is not training else "training images"
    numbers: Numbers = settings(request, num) | {"baseline": held}
    numbers |= {"training_images": len(training), "baseline_images": len(index)}
    same = index if others is training else None
    base, spaces = pixels_of(others, index), {}
    near = {
        name: nearest(space, samples, base, training, same)
        for name, space in spaces_of(request).items()
    }
    shown = np.argsort(near["pixels"].distances[:, 0], kind="stable")[:ROWS]
    for name, some in near.items():
        counted = copies.compare(some.distances[:, 0], some.baseline)
        text, verdict = in_words(counted, held), verdict_of(counted)
        print(f"{name}: {text}: {verdict}")
        rows = some.rows[shown]
        images = pixels_of(training, rows.ravel()).reshape(*rows.shape, *base.shape[1:])
        spaces[name] = neighbours.Space(
            images,
            some.distances[shown],
            {held: some.baseline, "samples": some.distances[:, 0]},
            counted.threshold,
            "RMS, white is 1" if name == "pixels" else "Euclidean",
            f"{text}:\n{verdict}",
        )
        numbers[name] = counted._asdict() | {
            "verdict": verdict,
            "distances": some.distances,
            "rows": some.rows,
            "baseline_distances": some.baseline,
        }
    title = f"the {len(shown)} of {num} samples that are nearest to training images"
    neighbours.save_neighbours(path, samples[shown], spaces, title=title)
    return numbers


def baseline_of(request: PlotRequest) -> tuple[np.ndarray, Source]:
    """Up to MOST_BASELINE rows of what is held out; without a holdout, of training."""
    training = request.run.images
    others = training.holdout() if training.holdout else training
    order = permutation(request.seed, 0, len(others))
    return order[:MOST_BASELINE], others


def spaces_of(request: PlotRequest) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """u8[n, h, w, c] -> f32[n, d], by the name of the space."""

    def pixels(images):
        values = images.reshape(len(images), -1).astype(np.float32)
        return values / np.float32(255 * np.sqrt(values.shape[1]))

    extractor = request.features and request.extractor.features
    return {"pixels": pixels, **({"features": extractor} if extractor else {})}


def nearest(
    space: Callable[[np.ndarray], np.ndarray],
    samples: np.ndarray,
    baseline: np.ndarray,
    training: Source,
    same: np.ndarray | None = None,
) -> Near:
    """The nearest training images of u8[n, h, w, c] and of the baseline, in a space.

    same: the rows of a baseline of training images, of which each has another nearest.
    """
    k, n = NEAREST, len(samples)
    queries = np.concatenate([space(samples), space(baseline)])
    parts = (space(images) for images in _blocks(training))
    distances, rows = latents.k_nearest(queries, parts, k)
    others = distances[n:]
    if same is not None:
        others = np.where(rows[n:] == same[:, None], np.inf, others)
    return Near(distances[:n], rows[:n], others.min(1))


def pixels_of(source: Source, index: np.ndarray) -> np.ndarray:
    """u8[n, h, w, c]."""
    return pictures.to_uint8(source.decode(source[index]["x"]), source.peak)


def in_words(counted: copies.Copies, held: str) -> str:
    """What was counted."""
    share, error = 100 * counted.share, 100 * counted.error
    return (
        f"{share:.3g} ± {error:.2g} % of samples are nearer to a training image than "
        f"{100 * (1 - counted.expected):.3g} % of {held} are (p = {counted.p:.2g})"
    )


def verdict_of(counted: copies.Copies) -> str:
    if not counted.enough:
        return "too few to decide"
    return "copies, the run memorises" if counted.copies else "no sign of memorising"


def _blocks(source: Source) -> Iterator[np.ndarray]:
    for at in range(0, len(source), BATCH):
        yield pixels_of(source, np.arange(at, min(at + BATCH, len(source))))


def _needs(request: PlotRequest) -> tuple[str, ...]:
    return ("sampler", "extractor") if request.features else ("sampler",)


def _few(request: PlotRequest) -> str:
    few = len(request.run.images) <= NEAREST
    return is_upsampler(request) or f"needs {NEAREST + 1} training images" * few


SPECS: dict[str, Any] = {
    "neighbours": PlotSpec(
        draw_neighbours,
        data=("images",),
        quick=False,
        needs=_needs,
        misfit=_few,
        pixels=True,
    )
}
