"""How wide to average, and how far to guide: distances of samples over both."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxdiff.metrics import frechet
from jaxdiff.plots import curves
from jaxdiff.runs.experiment import load
from jaxdiff.runs.plot import calls as plot_calls
from jaxdiff.runs.plot.spec import Scene, judged_kind, save_figures

# Relative widths of the averages, and scales of classifier-free guidance.
WIDTHS = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
SCALES = (1.0, 1.5, 2.0, 3.0)


def distances(scene: Scene) -> np.ndarray:
    """Frechet distances, f64[widths, scales]: the same seeds and labels for all."""
    assert scene.workdir, "`check` has seen to it"
    num, real = scene.num or plot_calls.MANY, plot_calls.fit_real(scene)
    widths, scales, index = widths_of(scene), scales_of(scene), np.arange(num)
    found = np.zeros((len(widths), len(scales)))
    bar = tqdm(total=found.size, desc="widths x scales", disable=None)
    for i, width in enumerate(widths):
        config = scene.config.copy_and_resolve_references()
        config.sampler.ema = width
        params = load(scene.workdir, config, scene.source).params
        for j, scale in enumerate(scales):
            sampler = scene.sampler_with(guidance=scale)
            x = sampler.draw(params, scene.seed, index, scene.labels(num))
            seen = frechet.fit(plot_calls.features(scene, x))
            found[i, j] = frechet.distance(seen, real)
            bar.write(f"{called(width)}, guidance {scale:g}: {found[i, j]:.4f}")
            bar.update()
    bar.close()
    return found


def widths_of(scene: Scene) -> tuple[float, ...]:
    """Without averages of several widths there is one, the run's own, 0."""
    return WIDTHS if scene.config.train.ema_widths else (0.0,)


def scales_of(scene: Scene) -> tuple[float, ...]:
    """Of a model that cannot be guided there is one, 1."""
    return SCALES if scene.trained.task.null is not None else (1.0,)


def called(width: float) -> str:
    return f"average {width:g} wide" if width else "the run's own average"


def misfit(scene: Scene) -> str:
    """Why it cannot be drawn of a trained run, or ""."""
    if len(widths_of(scene)) == len(scales_of(scene)) == 1:
        return (
            "is for a run that keeps averages of several widths (train.ema_widths) or "
            "was trained with labels and diffusion.label_dropout > 0"
        )
    return plot_calls.misfit(scene)


def draw_widths(scene: Scene, path: Path) -> None:
    """Frechet distances, widths down and scales across, or over the scale where there
    is one width; and KIND.json.
    """
    found, widths, scales = distances(scene), widths_of(scene), scales_of(scene)
    num, s = scene.num or plot_calls.MANY, scene.config.sampler
    what = f"Frechet distance, {num} samples"
    if len(widths) == 1:
        lines = {called(widths[0]): (np.array(scales), found[0])}
        curves.save_lines(path, lines, xlabel="guidance", ylabel=what)
    else:
        colours = np.log(found / np.median(found))
        curves.save_heat(
            path,
            found,
            colours=colours,
            limit=max(float(np.abs(colours).max()), 0.1),
            rows=[called(width) for width in widths],
            columns=[f"guidance {scale:g}" for scale in scales],
            title=what,
        )
    said = {
        "samples": num,
        "seed": scene.seed,
        "solver": s.solver,
        "steps": s.num_steps,
        "widths": widths,
        "scales": scales,
        "frechet": found.tolist(),
    }
    save_figures(path, said)


KINDS = {"widths": judged_kind(draw_widths, quick=False, misfit=misfit)}
