"""One noise in 1, 10 and 80 steps: pictures, and how near each comes to the data."""

from pathlib import Path

import numpy as np

from jaxdiff.data.batches import permutation
from jaxdiff.plots import pictures
from jaxdiff.runs.evaluate import features as judge
from jaxdiff.runs.evaluate import metrics as scores
from jaxdiff.runs.plot.spec import MOST, Kind, Scene, enlarges, save_figures

# Sampling steps that are compared, as in the Keras DDIM example.
STEPS = (1, 10, 80)
# From so many samples on, their distance to the data is worth telling.
ENOUGH = 20


def steps(scene: Scene) -> dict[int, np.ndarray]:
    """Number of steps -> f32[n, h, w, c], sampled from the same n noises.

    By deterministic DDIM in equal steps from t = 1, whatever the run's sampler: others
    add noise on the way, or begin a short run at another level.
    """
    num = scene.num or MOST
    fields = {"solver": "ddim(eta=0.0)", "grid": "uniform"}
    found = {}
    for n in STEPS:
        sampler = scene.sampler_with(**fields, num_steps=n)
        args = scene.seed, np.arange(num), scene.labels(num)
        found[n] = sampler.draw(scene.trained.params, *args)
    return found


def distances(scene: Scene, found: dict[int, np.ndarray]) -> dict[int, dict]:
    """Steps -> kernel distance to as many real images (scores.kernel_distance).

    Of a judge's features, or without one of the pixels themselves in [0, 1].
    """
    source, num = scene.source, len(next(iter(found.values())))
    judged = judge.load_judge(scene.judge, source) if scene.judge else None

    def features(x):
        values = source.decode(x)
        if judged:
            return judge.features(judged, values, source.peak)
        return (values / source.peak).reshape(len(values), -1)

    real = features(source[permutation(scene.seed, 0, len(source))[:num]]["x"])
    published = judged is not None and judged.published
    return {
        n: scores.kernel_distance(features(x), real, scene.seed, published)
        for n, x in found.items()
    }


def draw_steps(scene: Scene, path: Path) -> None:
    """The same noise in each column, sampled in 1, 10 and 80 steps.

    With --num of ENOUGH or more each row tells its kernel distance to the data.
    """
    found = steps(scene)
    names = {n: f"{n} step{'s' * (n > 1)}" for n in found}
    if (scene.num or 0) >= ENOUGH:
        of = f"features of {scene.judge}" if scene.judge else "pixels"
        told = distances(scene, found)
        save_figures(path, {"samples": scene.num, "of": of, "steps": told})
        for n, row in told.items():
            said = f"{row['kernel']:.3g} ± {row['kernel_error']:.2g}"
            names[n] += f"\nkernel {said}"
            print(f"{n} steps: kernel distance {said}, {scene.num} samples, {of}")
    rows = {names[n]: scene.pixels(x[:MOST]) for n, x in found.items()}
    title = f"one noise a column, after {scene.trained.step:,} training steps"
    pictures.save_rows(path, rows, title=title)


KINDS = {
    "steps": Kind(
        draw_steps, ("images",), trained=True, needs=("sampler",), misfit=enlarges
    )
}
