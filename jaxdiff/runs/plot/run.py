"""The pictures of a run: every kind is one function, in `KINDS`.

Those of an autoencoder, of guidance and of rising steps are in files of their own. What
a picture shows is worked out by a function without files (`corrupted`, `predictions`,
`film`, `mean`); the one that draws it only arranges and names.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build, choices, rng
from jaxdiff.arrays import Array, require
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.diffusion import sampling, schedules
from jaxdiff.plots import curves, pictures, tables
from jaxdiff.runs.plot import autoencoder as plot_autoencoder
from jaxdiff.runs.plot import calls as plot_calls
from jaxdiff.runs.plot import guidance as plot_guidance
from jaxdiff.runs.plot import steps as plot_steps
from jaxdiff.runs.plot import widths as plot_widths
from jaxdiff.runs.plot.spec import FEW, MOST, Kind, Scene, enlarges, real_images
from jaxdiff.runs.train import preview, progress

# The times of strips: t = 0, .1, ..., 1.
AMOUNTS = np.linspace(0.0, 1.0, 11)
# Rows of a table that a scatter plot can show; images that a mean is taken of.
MANY, MANY_IMAGES = 2000, 20_000


def draw(scene: Scene, kind: str, out: Path, *, force: bool = False) -> list[Path]:
    """Draw one kind, or with "all" every kind that fits, as OUT/KIND.png.

    Errors: ValueError, before any work, for an unknown kind, one that does not fit the
    data or needs a trained run, and for a picture that is there already without
    `force`; FileNotFoundError for a run or data that are not there.
    """
    names = check(scene, kind)
    paths = {name: out / f"{name}.png" for name in names}
    files = [f for path in paths.values() for f in (path, path.with_suffix(".json"))]
    there = [str(file) for file in files if file.exists()]
    require(force or not there, f"{', '.join(there)} exist; --force overwrites")
    out.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        KINDS[name].draw(scene, path)
        print(path)
    return list(paths.values())


def check(scene: Scene, kind: str) -> list[str]:
    """The kinds to draw for `kind`. Errors: as draw's."""
    known = ["all", *KINDS]
    require(kind in known, f"no kind of picture {kind!r}{choices.hint(kind, known)}")
    asked = [k for k, v in KINDS.items() if v.quick] if kind == "all" else [kind]
    misfits = {k: misfit(scene, k) for k in asked}
    names = [k for k, why in misfits.items() if not why]
    if scene.beside:
        check_beside(scene, scene.beside, kind)
    require(kind == "all" or names, f"{kind!r} {misfits.get(kind)}")
    for what in dict.fromkeys(need for k in names for need in KINDS[k].needs):
        getattr(scene, what)  # refuses what does not fit the run
    return names


def check_beside(scene: Scene, beside: Scene, kind: str) -> None:
    """ValueError unless two runs can be compared by `kind`."""
    pairs = [k for k, v in KINDS.items() if v.pairs]
    require(
        kind in (*pairs, "all"),
        f"--beside is for {', '.join(pairs)} (or all), not for {kind!r}",
    )
    require(
        beside.config.task == scene.config.task
        and beside.config.data.to_dict() == scene.config.data.to_dict(),
        f"--beside {beside.workdir} is no {scene.config.task} of the same data: give "
        "a run whose task and data fields equal those of --workdir",
    )


def misfit(scene: Scene, kind: str) -> str:
    """Why a kind cannot be drawn of what there is, or ""."""
    _, data, trained, task, *_ = KINDS[kind]
    if task and task != scene.config.task:
        return f"is for task={task!r}, and this config's is {scene.config.task!r}"
    if trained and not scene.workdir:
        return "needs a trained run: give its --workdir"
    here = "images" if data and scene.source.is_image else "tables"
    if data and here not in data:
        return f"is for {data[0]}, and the data are {here}"
    return KINDS[kind].misfit(scene)


def few_columns(least: int, scene: Scene) -> str:
    """For kinds that show so many columns of numbers, where the data are a table."""
    layout = scene.source.layout
    few = layout and sum(not column.categories for column in layout.columns) < least
    return f"needs {least} or more columns of numbers" if few else ""


def no_log(scene: Scene) -> str:
    """For kinds that show what was logged."""
    if scene.log:
        return ""
    return f"needs metrics.jsonl, and {scene.workdir} has no line of it yet"


def draw_schedules(scene: Scene, path: Path) -> None:
    """alpha, sigma and log-SNR of the run's schedule, or of every one with it."""
    t = jnp.linspace(0.0, 1.0, 401)

    def rows(schedule):
        parts = (schedule.alpha, schedule.sigma, schedule.log_snr)
        return np.stack([np.asarray(part(t)) for part in parts])

    d = scene.config.diffusion
    name = d.schedule if d.scaling == "own" else f"{d.schedule}, scaled {d.scaling}"
    makers = choices.members(schedules) if scene.every else {}
    others = {name: rows(make()) for name, make in makers.items()}
    own = {f"this run: {name}": rows(build.make_schedule(scene.config))}
    curves.save_schedules(path, np.asarray(t), own, others)


def corrupted(scene: Scene, x: np.ndarray, keys: Array, ts: np.ndarray) -> np.ndarray:
    """x f32[b, ...] -> f32[t, b, ...], each with one noise of its own at all times."""
    schedule = build.make_schedule(scene.config)
    eps = rng.draw(build.make_noise(scene.config), keys, x.shape[1:])
    c = schedules.coeffs(schedule, jnp.asarray(ts, jnp.float32))
    pairs = zip(c.alpha, c.sigma, strict=True)
    return np.stack([np.asarray(alpha * x + sigma * eps) for alpha, sigma in pairs])


def draw_corruption(scene: Scene, path: Path) -> None:
    """Data at rising t: a strip of images, or two columns of a table."""
    d, source = scene.config.diffusion, scene.source
    title = f"data at rising t: {d.schedule}, {d.noise} noise"
    if source.is_image:
        x, labels, keys = real_images(scene)
        strips = scene.pixels(corrupted(scene, x, keys, AMOUNTS)).swapaxes(0, 1)
        names = scene.names("image", labels, len(x))
        rows = dict(zip(names, strips, strict=True))
        pictures.save_rows(path, rows, columns=_times(AMOUNTS), title=title)
        return
    index = permutation(scene.seed, 0, len(source))[: scene.num or MANY]
    batch, ts = source[index], AMOUNTS[::2]
    x_t = corrupted(scene, batch["x"], scene.keys(index), ts)
    panels = dict(zip(_times(ts), map(source.decode, x_t), strict=True))
    clean = source.decode(batch["x"])
    if "label" in batch:
        clean["class"] = np.array(source.class_names)[batch["label"]]
    tables.save_scatters(path, panels, clean, title=title)


def predictions(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Of real_images at AMOUNTS x_t and the network's x0, f32[11, n, ...]; labels."""
    x, labels, keys = real_images(scene)
    x_t, ts = corrupted(scene, x, keys, AMOUNTS), jnp.asarray(AMOUNTS, jnp.float32)
    told = labels if build.num_labels(scene.config, scene.source) else None
    pairs = zip(x_t, ts, strict=True)
    return x_t, np.stack([_x0(scene.denoise, x, t, told) for x, t in pairs]), labels


def draw_predictions(scene: Scene, path: Path) -> None:
    """Real images at rising noise, and what the network takes them for."""
    x_t, x0, labels = predictions(scene)
    names = scene.names("image", labels, x_t.shape[1])
    title = f"what the network predicts after {scene.trained.step:,} training steps"
    x_t, x0, times = scene.pixels(x_t), scene.pixels(x0), _times(AMOUNTS)
    pictures.save_estimates(path, names, x_t, x0, columns=times, title=title)


def film(scene: Scene) -> tuple[np.ndarray, sampling.Trace, np.ndarray]:
    """Times f[n + 1], what the sampler saw at the first n, and where it came to.

    Image i is sample i of the same seed, label and number of steps.
    """
    config = scene.config.copy_and_resolve_references()
    config.sampler.num_steps = scene.steps
    schedule, noise = build.make_schedule(config), build.make_noise(config)
    ts = jnp.asarray(build.make_grid(config), jnp.float32)
    num, shape = min(scene.num or FEW, MOST), scene.source.shape
    keys, cond = scene.keys(np.arange(num)), scene.labels(num)
    x_T = sampling.init_noise(keys, shape, schedule=schedule, noise=noise, t=ts[0])
    denoise, solver = scene.sampler.wrap(scene.denoise), build.make_solver(config)
    x, trace = sampling.sample(keys, denoise, solver, ts, x_T, cond, trace=True)
    return np.asarray(ts), trace, np.asarray(x)


def draw_film(scene: Scene, path: Path) -> None:
    """Input and prediction at every step of a short sampling run, then the sample."""
    ts, trace, x = film(scene)
    x_t = scene.pixels(np.concatenate([trace.x_t, x[None]]))
    x0, solver = scene.pixels(trace.x0), scene.config.sampler.solver
    names = scene.names("sample", scene.labels(len(x)), len(x))
    title = f"{solver} in {len(x0)} steps; the last x_t is the sample"
    pictures.save_estimates(path, names, x_t, x0, columns=_times(ts), title=title)


def draw_samples(scene: Scene, path: Path) -> None:
    """A grid of samples, or a pair plot of generated rows beside the real."""
    source = scene.source
    num = scene.num or (64 if source.is_image else min(len(source), MANY))
    labels, index = scene.labels(num), np.arange(num)
    x = scene.sampler.draw(scene.trained.params, scene.seed, index, labels)
    preview.save_samples(path, source, x, labels)


def mean(source: Source) -> tuple[np.ndarray, int]:
    """The mean image f32[h, w, c], and of how many, evenly spread over the data."""
    index = np.arange(0, len(source), -(-len(source) // MANY_IMAGES))
    parts = np.array_split(index, -(-len(index) // 256))
    total = sum(source[part]["x"].sum(0, dtype=np.float64) for part in parts)
    return np.asarray(total / len(index), np.float32), len(index)


def draw_mean(scene: Scene, path: Path) -> None:
    """The mean image: the best guess of who knows the data set and sees only noise."""
    image, count = mean(scene.source)
    pictures.save_rows(
        path,
        {"": scene.pixels(image[None])},
        title=f"mean of {count:,} images",
        cell=3.0,
    )


def draw_loss(scene: Scene, path: Path) -> None:
    """The training loss of metrics.jsonl."""
    d, a = scene.config.diffusion, scene.config.autoencoder
    steps, losses = ([row[k] for row in scene.log] for k in ("step", "loss"))
    bound = " + bound" if d.learned_variance and d.bound_weight else ""
    names = {
        "diffusion": f"{d.distance} of {d.prediction}, {d.weight} weight{bound}",
        "classifier": "cross-entropy, nats",
        "autoencoder": f"sum of {a.distance} / 2 + {a.kl_weight:g} KL",
    }
    curves.save_loss(path, steps, losses, name=names[scene.config.task])


IMAGES, TABLES = ("images",), ("tables",)
KINDS = {
    "schedules": Kind(draw_schedules, (), trained=False),
    "corruption": Kind(
        draw_corruption,
        IMAGES + TABLES,
        trained=False,
        misfit=partial(few_columns, 2),
    ),
    "predictions": Kind(draw_predictions, IMAGES, trained=True, misfit=enlarges),
    "film": Kind(draw_film, IMAGES, trained=True, needs=("sampler",), misfit=enlarges),
    **plot_steps.KINDS,
    "grid": Kind(draw_samples, IMAGES, trained=True, needs=("sampler",)),
    "mean": Kind(draw_mean, IMAGES, trained=False, task=""),
    "loss": Kind(draw_loss, (), trained=True, task="", misfit=no_log),
    **progress.KINDS,
    "pairs": Kind(
        draw_samples,
        TABLES,
        trained=True,
        needs=("sampler",),
        misfit=partial(few_columns, 1),
    ),
    **plot_guidance.KINDS,
    **plot_calls.KINDS,
    **plot_widths.KINDS,
    **plot_autoencoder.KINDS,
}


def _times(ts):
    return [f"t = {t:.2g}" for t in ts]


@jax.jit
def _x0(denoise, x_t, t, labels):
    return denoise(x_t, t, labels).x0
