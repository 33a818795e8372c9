"""How wide to average, and how far to guide: distances of samples over both."""

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxdiff.metrics import frechet
from jaxdiff.plots import curves
from jaxdiff.runs import plot_calls
from jaxdiff.runs.scene import Kind, Scene
from jaxdiff.runs.trained import load

# Relative widths of the averages, and scales of classifier-free guidance.
WIDTHS = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
SCALES = (1.0, 1.5, 2.0, 3.0)


def distances(scene: Scene) -> np.ndarray:
    """Frechet distances, f64[widths, scales]: the same seeds and labels for all.

    Of a model that cannot be guided there is one scale, 1.
    """
    assert scene.workdir, "`check` has seen to it"
    num, real = scene.num or plot_calls.MANY, plot_calls.fit_real(scene)
    scales, index = scales_of(scene), np.arange(num)
    found = np.zeros((len(WIDTHS), len(scales)))
    bar = tqdm(total=found.size, desc="widths x scales", disable=None)
    for i, width in enumerate(WIDTHS):
        config = scene.config.copy_and_resolve_references()
        config.sampler.ema = width
        params = load(scene.workdir, config, scene.source).params
        for j, scale in enumerate(scales):
            sampler = scene.sampler_with(guidance=scale)
            x = sampler.draw(params, scene.seed, index, scene.labels(num))
            seen = frechet.fit(plot_calls.features(scene, x))
            found[i, j] = frechet.distance(seen, real)
            bar.write(f"width {width:<6g} guidance {scale:<4g} {found[i, j]:10.4f}")
            bar.update()
    bar.close()
    return found


def scales_of(scene: Scene) -> tuple[float, ...]:
    return SCALES if scene.trained.task.null is not None else (1.0,)


def misfit(scene: Scene) -> str:
    """Why it cannot be drawn of a trained run, or ""."""
    if not scene.config.train.ema_widths:
        return "is for a run that keeps averages of several widths (train.ema_widths)"
    return plot_calls.misfit(scene)


def draw_widths(scene: Scene, path: Path) -> None:
    """A map of Frechet distances, widths down and scales across; and KIND.json."""
    found, scales = distances(scene), scales_of(scene)
    num, s = scene.num or plot_calls.MANY, scene.config.sampler
    colours = np.log(found / np.median(found))
    curves.save_heat(
        path,
        found,
        colours=colours,
        limit=max(float(np.abs(colours).max()), 0.1),
        rows=[f"average {width:g} wide" for width in WIDTHS],
        columns=[f"guidance {scale:g}" for scale in scales],
        title=f"Frechet distance, {num} samples",
    )
    said = {
        "samples": num,
        "seed": scene.seed,
        "solver": s.solver,
        "steps": s.num_steps,
        "widths": WIDTHS,
        "scales": scales,
        "frechet": found.tolist(),
    }
    path.with_suffix(".json").write_text(json.dumps(said, indent=2) + "\n")


KINDS = {
    "widths": Kind(
        draw_widths,
        ("images",),
        trained=True,
        quick=False,
        needs=("judged", "sampler"),
        misfit=misfit,
    )
}
