"""Pictures of how good samples are: over NFE, steps, and the width of the average.

All samples of a picture have the same seeds and labels.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from tqdm.auto import tqdm

from jaxdiff import build
from jaxdiff.choices import members, pick
from jaxdiff.data.source import Source, as_pixels
from jaxdiff.diffusion import orders, sampling, solvers
from jaxdiff.metrics import titles
from jaxdiff.plots import curves, pictures
from jaxdiff.runs.evaluate.features import NEEDED, Extractor, Reference
from jaxdiff.runs.plot.spec import (
    FREE,
    Numbers,
    PlotRequest,
    is_upsampler,
    quality_spec,
    settings,
)
from jaxdiff.tasks.classifier import Classify

# Numbers of function evaluations: calls of the denoiser for one image. The solver left
# out is for distilled models, which alone learn where its steps go.
NFE, LEFT_OUT = (5, 10, 20, 50, 100), ("consistency",)
PANELS = ("order 1", "order 2", "order 3 and 4", "with noise on the way")
FEW_LINES = 5  # in one panel
STEPS = (1, 10, 80)  # as in the Keras DDIM example
# Relative widths of averages, and the guidance scales beside them.
WIDTHS, WIDTH_SCALES = (0.03, 0.05, 0.075, 0.1, 0.15, 0.2), (1.0, 1.5, 2.0, 3.0)
# Samples for a Frechet distance, and at least for KID; real images at most.
MANY, ENOUGH, MOST_REAL = 2000, 20, 10_000


def draw_nfe(request: PlotRequest, path: Path) -> Numbers:
    """Frechet distance over NFE, a line for each solver; many are in panels by order
    and noise. Below, the same is over the time per sample.
    """
    rows, sampler = distances_by_nfe(request), request.run.config.sampler
    num = request.num or MANY
    frechet = titles.title("frechet").axis(f"{num} samples")
    panels = {title: {} for title in PANELS}
    if few := len(rows) <= FEW_LINES:
        panels = {f"{len(rows)} solver{'s' * (len(rows) > 1)}": {}}
    for name, some in rows.items():
        title = [*panels][0 if few else _panel(name)]
        values = [[row["frechet"], row["nfe"], 1e3 * row["seconds"]] for row in some]
        panels[title][name] = (*np.array(values).T,)
    shown = {k: v for k, v in panels.items() if v}
    xlabels = ("NFE", "ms per sample (warm)")
    curves.save_panels(path, shown, xlabels=xlabels, ylabel=frechet)
    figures = {"grid": sampler.grid, "guidance": sampler.guidance, "solvers": rows}
    about = {"samples": num, "seed": request.seed, "step": request.run.step}
    return about | figures


def _panel(solver):
    noisy = orders.is_noisy(members(solvers)[solver], {})
    return -1 if noisy else min(getattr(solvers, solver).ORDER, 3) - 1


def distances_by_nfe(request: PlotRequest) -> dict[str, list[dict[str, Any]]]:
    """Solver -> for each of NFE: nfe, steps, Frechet distance, seconds per sample."""
    reference, rows = _reference(request), {}
    every = [name for name in sorted(members(solvers)) if name not in LEFT_OUT]
    todo = [(s, n) for s in request.solvers or every for n in request.nfe or NFE]
    for name, most in tqdm(todo, desc="solvers x NFE", disable=None):
        steps, nfe = steps_for(request, name, most)
        if not steps or any(row["nfe"] == nfe for row in rows.get(name, [])):
            continue
        x, seconds = timed(request, solver=name, num_steps=steps)
        distance = reference.frechet(reference.features(request.run.pixels(x)))
        row = {"nfe": nfe, "steps": steps, "frechet": distance, "seconds": seconds}
        rows.setdefault(name, []).append(row)
        text = f"{name:16s}{steps:4d} steps{nfe:4d} NFE{distance:10.4f}"
        tqdm.write(f"{text}{1e3 * seconds:10.3g} ms a sample")
    return rows


def timed(request: PlotRequest, **fields: Any) -> tuple[np.ndarray, float]:
    """As request.draw, and the seconds per sample: the median of whole batches.

    The first batch is drawn twice, so that compiling is left out.
    """
    run, num = request.run.with_sampler(**fields), request.num or MANY
    size, cond = min(run.config.sampler.batch_size, num), run.conditions(num)
    sampler, parts, times = run.sampler(), [], []
    for first in (0, *range(0, num, size)):
        index, start = np.arange(first, min(first + size, num)), time.perf_counter()
        some = jax.tree.map(lambda a, index=index: a[index], cond)
        parts.append(sampler.draw(run.params, request.seed, index, some))
        times.append((time.perf_counter() - start) / len(index))
    return np.concatenate(parts[1:]), float(np.median(times[1 : 1 + num // size]))


def steps_for(request: PlotRequest, solver: str, most: int) -> tuple[int, int]:
    """The most steps that take no more NFE than `most`, and the NFE that they take."""

    def count(num_steps):
        run = request.run.with_sampler(solver=solver, num_steps=num_steps)
        ts = jnp.asarray(build.make_grid(run.config, run.schedule), jnp.float32)
        return sampling.count_nfe(build.make_solver(run.config, run.schedule), ts)

    return sampling.most_steps(count, most)


def _reference(request: PlotRequest) -> Reference:
    images = request.run.images
    most = min(len(images), MOST_REAL)
    return Reference(request.extractor, images, most, run=request.run)


def _frechet(request: PlotRequest, reference: Reference, **fields: Any) -> float:
    """Of samples with these fields of config.sampler to the real images."""
    x = request.draw(request.num or MANY, **fields)
    return reference.frechet(reference.features(request.run.pixels(x)))


def draw_steps(request: PlotRequest, path: Path) -> Numbers:
    """The same noise in each column, sampled in 1, 10 and 80 steps.

    With --num of ENOUGH or more each row has its KID to the data, see `kid_by_steps`.
    """
    samples = samples_by_steps(request)
    names, num = {n: f"{n} step{'s' * (n > 1)}" for n in samples}, request.num or 0
    numbers = {"samples": num or request.most, "seed": request.seed, "steps": STEPS}
    if num >= ENOUGH:
        space = f"features of {request.features}" if request.features else "pixels"
        rows = kid_by_steps(request, samples)
        numbers |= {"of": space, "steps": rows}
        for n, row in rows.items():
            value = f"{row['kid']:.3g} ± {row['kid_error']:.2g}"
            names[n] += f"\n{titles.title('kid').short} {value}"
            print(f"{n} steps: KID {value}, {num} samples, {space}")
    shown, pixels = request.shown(num or request.most), request.run.pixels
    strips = {names[n]: pixels(x[shown]) for n, x in samples.items()}
    about = f"one noise a column, after {request.run.step:,} training steps"
    labels = request.run.labels_of(request.run.conditions(num or request.most))
    classes = request.run.source.class_names
    columns = [] if labels is None else [classes[k] for k in labels[shown]]
    pictures.save_rows(path, strips, columns=columns, title=about)
    return numbers


def _needs_of_steps(request: PlotRequest) -> tuple[str, ...]:
    measured = request.features and (request.num or 0) >= ENOUGH
    return ("sampler", "extractor") if measured else ("sampler",)


def samples_by_steps(request: PlotRequest) -> dict[int, np.ndarray]:
    """Number of steps -> f32[n, h, w, c], sampled from the same n noises.

    By deterministic DDIM in equal steps from t = 1, whatever the run's sampler: others
    add noise on the way, or begin a short run at another level.
    """
    fields = {"solver": "ddim(eta=0.0)", "grid": "uniform"}
    num = request.num or request.most
    return {n: request.draw(num, **fields, num_steps=n) for n in STEPS}


def kid_by_steps(request: PlotRequest, samples: dict[int, Any]) -> dict[int, dict]:
    """Steps -> KID of f32[n, h, w, c] to as many real images.

    In the features of --features; without it, of the pixels themselves in [0, 1].
    """
    run, seed, num = request.run, request.seed, len(next(iter(samples.values())))
    extractor = request.extractor if request.features else of_pixels(run.images)
    real = Reference(extractor, run.images, min(len(run.images), num), seed=seed)
    features = {n: real.features(run.pixels(x)) for n, x in samples.items()}
    return {n: real.kid(some, seed) for n, some in features.items()}


def of_pixels(source: Source) -> Extractor:
    """Images as their own features."""
    flat = Partial(lambda x, t: x.reshape(len(x), -1))
    return Extractor(as_pixels(source), Classify(flat, flat), Path("pixels"), None)


def draw_widths(request: PlotRequest, path: Path) -> Numbers:
    """Frechet distances of averages down, guidance across; a line of one average."""
    (widths, scales), distances = grid_of(request), distances_by_width(request)
    measure = titles.title("frechet").axis(f"{request.num or MANY} samples")
    names = [_width_name(width) for width in widths]
    if len(widths) == 1:
        lines = {names[0]: (np.array(scales), distances[0])}
        curves.save_lines(path, lines, xlabel="guidance", ylabel=measure)
    else:
        columns = [f"guidance {scale:g}" for scale in scales]
        curves.save_heat(path, distances, bar=measure, rows=names, columns=columns)
    figures = {"widths": widths, "scales": scales, "frechet": distances.tolist()}
    return settings(request, request.num or MANY) | figures


def distances_by_width(request: PlotRequest) -> np.ndarray:
    """Frechet distances, f64[widths, scales]."""
    reference, (widths, scales) = _reference(request), grid_of(request)
    distances = np.zeros((len(widths), len(scales)))
    for i, width in enumerate(tqdm(widths, desc="widths", disable=None)):
        wide = replace(request, run=request.run.with_sampler(ema=width))
        _ = wide.run.params  # read once for all scales
        for j, scale in enumerate(scales):
            distances[i, j] = value = _frechet(wide, reference, guidance=scale)
            tqdm.write(f"{_width_name(width)}, guidance {scale:g}: {value:.4f}")
    return distances


def grid_of(request: PlotRequest) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Widths (0 alone is train.ema's) and guidance scales (1 alone is unguided)."""
    widths = WIDTHS if request.run.config.train.ema_widths else (0.0,)
    return widths, WIDTH_SCALES if request.run.task.null is not None else (1.0,)


def _width_name(width):
    return f"average {width:g} wide" if width else "the run's average"


def _no_features(request: PlotRequest) -> str:
    missing = "" if request.features else f"needs --features=PATH: {NEEDED}"
    return is_upsampler(request) or missing


def _no_solvers(request: PlotRequest) -> str:
    for name in request.solvers:
        pick(solvers, name)  # raises for one that is not there
    return _no_features(request)


def _one_width_and_scale(request: PlotRequest) -> str:
    if grid_of(request) == ((0.0,), (1.0,)):
        return f"is for runs of averages of several widths (train.ema_widths) or {FREE}"
    return _no_features(request)


SPECS = {
    "nfe": quality_spec(
        draw_nfe,
        quick=False,
        takes=("num", "seed", "solvers", "nfe"),
        sets=("solver", "num_steps"),
        misfit=_no_solvers,
    ),
    "steps": quality_spec(
        draw_steps,
        needs=_needs_of_steps,
        sets=("solver", "grid", "num_steps"),
        misfit=is_upsampler,
        pixels=True,
    ),
    "widths": quality_spec(
        draw_widths, quick=False, sets=("ema", "guidance"), misfit=_one_width_and_scale
    ),
}
