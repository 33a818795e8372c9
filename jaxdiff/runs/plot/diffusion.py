"""The pictures of a diffusion run: its schedule, noise, predictions, samples and log.

A function without files works out what a picture shows (`corrupt`, `predict`, `film`);
the one that draws it only arranges and names.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build, choices, rng
from jaxdiff.arrays import Array, PyTree
from jaxdiff.data import means
from jaxdiff.data.batches import permutation
from jaxdiff.data.orders import multiple
from jaxdiff.diffusion import sampling, schedules
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.notes import note
from jaxdiff.plots import curves, pictures, tables
from jaxdiff.runs import shared_pictures
from jaxdiff.runs.plot.spec import (
    FEW,
    Experiment,
    Numbers,
    PlotRequest,
    PlotSpec,
    always,
    in_strip,
    is_upsampler,
    real_images,
    settings,
)

# The times of strips: t = 0, .1, ..., 1.
TIMES = np.linspace(0.0, 1.0, 11)
# Rows that a scatter plot can show; steps of the film; noises below the mean.
MOST_ROWS, STEPS, NOISES = 2000, 5, 4
# The least alpha with which eps gives x0.
LEAST_ALPHA = 0.01


def draw_schedules(request: PlotRequest, path: Path) -> Numbers:
    """alpha, sigma, the signal's share of their squares, and log-SNR of the run's
    schedule, or of every one beside it."""
    t = jnp.linspace(0.0, 1.0, 401)

    def rows(schedule):
        log_snr = schedule.log_snr(t)
        parts = {"alpha": schedule.alpha(t), "sigma": schedule.sigma(t)}
        parts |= {"share": jax.nn.sigmoid(log_snr), "log_snr": log_snr}
        return {name: np.asarray(values) for name, values in parts.items()}

    d = request.run.config.diffusion
    name = (
        d.schedule if d.scaling == "unscaled" else f"{d.schedule}, scaled {d.scaling}"
    )
    makers = choices.members(schedules) if request.every else {}
    others = {name: rows(make()) for name, make in makers.items()}
    this = {f"this run: {name}": rows(request.run.schedule)}
    curves.save_schedules(path, np.asarray(t), this, others)
    return {"t": t, "schedules": this | others}


def corrupt(run: Experiment, x: np.ndarray, keys: Array, ts: np.ndarray) -> np.ndarray:
    """x f32[b, ...] -> f32[t, b, ...]; the noise of a key is the same at all times."""
    eps = rng.draw(build.make_noise(run.config), keys, x.shape[1:])
    c = coeffs(run.schedule, jnp.asarray(ts, jnp.float32))
    pairs = zip(c.alpha, c.sigma, strict=True)
    return np.stack([np.asarray(alpha * x + sigma * eps) for alpha, sigma in pairs])


def draw_corruption(request: PlotRequest, path: Path) -> Numbers:
    """Data at rising t: a strip of images, or two columns of a table."""
    run, source = request.run, request.run.source
    d = run.config.diffusion
    title = f"data at rising t: {d.schedule}, {d.noise} noise"
    if source.is_image:
        x, labels, keys = real_images(request)
        strips = run.pixels(corrupt(run, x, keys, TIMES)).swapaxes(0, 1)
        names = request.names("image", labels, len(x))
        rows = dict(zip(names, strips, strict=True))
        pictures.save_rows(path, rows, columns=_titles(TIMES), title=title)
        return _levels(run, TIMES) | {"images": len(x), "seed": request.seed}
    index = permutation(request.seed, 0, len(source))[: request.num or MOST_ROWS]
    batch, ts = source[index], TIMES[::2]
    x_t = corrupt(run, batch["x"], request.keys(index), ts)
    panels = dict(zip(_titles(ts), map(source.decode, x_t), strict=True))
    clean = source.decode(batch["x"])
    labels = source.labels_of(batch)
    if labels is not None:
        clean["class"] = np.array(source.class_names)[labels]
    tables.save_scatters(path, panels, clean, title=title)
    return _levels(run, ts) | {"rows": len(index), "seed": request.seed}


def predict(
    request: PlotRequest,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x_t of real_images at TIMES and the network's x0, f32[11, n, ...]; labels."""
    run, (x, labels, keys) = request.run, real_images(request)
    x_t, ts = corrupt(run, x, keys, TIMES), jnp.asarray(TIMES, jnp.float32)
    cond = labels if build.num_labels(run.config, run.source) else None
    x0 = [_x0(run.model, x, t, cond) for x, t in zip(x_t, ts, strict=True)]
    return x_t, np.stack(x0), labels


def draw_predictions(request: PlotRequest, path: Path) -> Numbers:
    """Real images at rising noise, and the x0 that the network predicts of them."""
    run, (x_t, x0, labels) = request.run, predict(request)
    names = request.names("image", labels, x_t.shape[1])
    title = f"what the network predicts after {run.step:,} training steps"
    x, columns = real_images(request)[0], _titles(TIMES)
    error = np.mean((x0 - x) ** 2, axis=tuple(range(1, x0.ndim)))
    x_t, x0 = run.pixels(x_t), run.pixels(x0)
    pictures.save_estimates(path, names, x_t, x0, columns=columns, title=title)
    return _levels(run, TIMES) | {"images": len(x), "mean_squared_error": error}


def film(request: PlotRequest) -> tuple[np.ndarray, sampling.Trace, np.ndarray]:
    """Times f[n + 1], what the sampler saw at the first n of them, and the samples.

    Image i is sample i of the same seed, label and number of steps.
    """
    run = request.run.with_sampler(num_steps=request.steps or STEPS)
    num = min(request.num or FEW, request.most)
    return traced(replace(request, run=run), np.arange(num), run.conditions(num))


def traced(
    request: PlotRequest, index: np.ndarray, cond: PyTree
) -> tuple[np.ndarray, sampling.Trace, np.ndarray]:
    """Times f[s + 1], the way of the samples of those numbers i64[n], and the samples.

    cond: theirs, leading with n.
    """
    run, keys = request.run, request.keys(index)
    shared = run.sampler().shared(run.params)
    x_T = sampling.init_noise(
        keys,
        run.source.shape,
        schedule=shared.schedule,
        noise=shared.noise,
        t=shared.ts[0],
    )
    args = keys, shared.denoise, shared.solver, shared.ts, x_T, cond
    x, trace = sampling.sample(*args, trace=True)
    return np.asarray(shared.ts), trace, np.asarray(x)


def draw_film(request: PlotRequest, path: Path) -> Numbers:
    """Input and prediction at every step of a short sampling run, then the sample."""
    run, (ts, trace, x) = request.run, film(request)
    x_t = run.pixels(np.concatenate([trace.x_t, x[None]]))
    x0, solver = run.pixels(trace.x0), run.config.sampler.solver
    names = request.names("sample", run.labels_of(run.conditions(len(x))), len(x))
    title = f"{solver} in {len(x0)} steps; the last x_t is the sample"
    pictures.save_estimates(path, names, x_t, x0, columns=_titles(ts), title=title)
    return settings(request, len(x)) | {"steps": len(x0), "t": ts}


def draw_samples(request: PlotRequest, path: Path) -> Numbers:
    """A grid of samples, or a pair plot of generated rows beside real ones."""
    run, source = request.run, request.run.source
    most = 64 if source.is_image else min(len(source), MOST_ROWS)
    num = request.num or multiple(most, run.num_classes)
    values, cond = source.decode(request.draw(num)), run.conditions(num)
    labels = run.labels_of(cond)
    numbers = shared_pictures.save_samples(path, source, values, labels)
    return settings(request, num) | numbers


def draw_mean(request: PlotRequest, path: Path) -> Numbers:
    """The mean image, which is the best prediction of x0 from noise alone, and below it
    what a trained network predicts of a few noises; given a class, beside its mean.
    """
    run, names = request.run, []
    image, num = means.mean_image(run.source)
    rows, numbers = {f"mean of {num:,} images": image[None]}, {"images": num}
    if run.workdir and run.task.kind == "denoiser" and not run.is_upsampler:
        cond = run.conditions(NOISES)
        if (labels := run.labels_of(cond)) is not None:
            names = [run.source.class_names[k] for k in labels]
            rows = {"mean of the class": means.class_means(run.source, labels.tolist())}
        (mean,), x0 = rows.values(), from_noise(request, cond)
        if x0 is not None:
            rows["predicted\nfrom noise alone"] = x0
            error = np.mean((x0 - mean) ** 2, axis=tuple(range(1, x0.ndim)))
            numbers |= {"step": run.step, "rms_from_mean": np.sqrt(error)}
    shown = {name: run.pixels(x) for name, x in rows.items()}
    pictures.save_rows(path, shown, columns=names, cell=1.5)
    return numbers


def from_noise(request: PlotRequest, cond: PyTree) -> np.ndarray | None:
    """x0 f32[n, ...] as the network predicts it of noise at t = 1, without guidance;
    None where x0 = (x - sigma eps) / alpha only enlarges errors of eps.

    cond: leading with n.
    """
    run, t = request.run, jnp.ones(())
    d, alpha = run.config.diffusion, float(run.schedule.alpha(t))
    if d.prediction == "eps" and alpha < LEAST_ALPHA:
        note(f"eps does not give x0 from noise: alpha is {alpha:.2g} at t = 1")
        return None
    keys = request.keys(np.arange(NOISES))
    how = {"schedule": run.schedule, "noise": run.sampler().shared(run.params).noise}
    x_T = sampling.init_noise(keys, run.source.shape, **how, t=t)
    return np.asarray(_x0(run.model, x_T, t, cond))


def draw_progress(request: PlotRequest, path: Path) -> Numbers:
    """The distance from the data as training went on."""
    shared_pictures.save_progress(path, request.run.log)
    name = shared_pictures.measured(request.run.log)
    rows = [row for row in request.run.log if name in row]
    return {"step": [row["step"] for row in rows], name: [row[name] for row in rows]}


def _rows_or_strip(request: PlotRequest) -> tuple[int, float | int]:
    return in_strip(request) if request.run.is_image else (1, len(request.run.source))


def _few_columns(least: int, request: PlotRequest) -> str:
    """Misfit of a table with fewer columns of numbers than that."""
    layout = request.run.source.layout
    few = layout and sum(not column.categories for column in layout.columns) < least
    return f"needs {least} or more columns of numbers" if few else ""


def _unmeasured(request: PlotRequest) -> str:
    if shared_pictures.measured(request.run.log):
        return ""
    return "is for a run that was measured as it trained (train.evaluate_every)"


_of_params = partial(PlotSpec, data=("images",), needs=always(("params",)))
_of_samples = partial(PlotSpec, data=("images",), needs=always(("sampler",)))
SPECS = {
    "schedules": PlotSpec(draw_schedules, takes=("every",)),
    "corruption": PlotSpec(
        draw_corruption,
        data=("images", "tables"),
        num=_rows_or_strip,
        misfit=partial(_few_columns, 2),
        pixels=True,
    ),
    "predictions": _of_params(
        draw_predictions, num=in_strip, misfit=is_upsampler, pixels=True
    ),
    "film": _of_samples(
        draw_film,
        takes=("num", "seed", "steps"),
        num=in_strip,
        sets=("num_steps",),
        misfit=is_upsampler,
        pixels=True,
    ),
    "grid": _of_samples(draw_samples, pixels=True),
    "mean": PlotSpec(draw_mean, data=("images",), task="", takes=(), pixels=True),
    "progress": PlotSpec(
        draw_progress, needs=always(("log",)), takes=(), misfit=_unmeasured
    ),
    "pairs": _of_samples(
        draw_samples, data=("tables",), misfit=partial(_few_columns, 1)
    ),
}


def _levels(run: Experiment, ts: np.ndarray) -> Numbers:
    c = coeffs(run.schedule, jnp.asarray(ts, jnp.float32))
    return {"t": ts, "alpha": c.alpha, "sigma": c.sigma}


def _titles(ts):
    return [f"t = {t:.2g}" for t in ts]


@jax.jit
def _x0(denoise, x_t, t, cond):
    return denoise(x_t, t, cond).x0
