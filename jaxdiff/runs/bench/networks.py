"""One network for all times, or several, each for its part (diffusion/experts.py).

A diffusion model needs an estimate of x0 at every t, and one network with t as an input
gives all of them. Is that better than K networks, each for a part of the times? Both
are trained on the same examples with as many parameters in total. Of K networks, each
is trained on 1 / K of the examples; so both are also trained K times as long.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm.auto import tqdm

from jaxdiff import build, fields, rng
from jaxdiff.arrays import Array, PyTree, require
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source, take
from jaxdiff.diffusion import experts
from jaxdiff.diffusion.levels import coeffs
from jaxdiff.diffusion.losses import Objective
from jaxdiff.diffusion.types import Denoise
from jaxdiff.diffusion.weights import target_factor
from jaxdiff.files import write_numbers
from jaxdiff.metrics import titles, transport
from jaxdiff.plots import bands
from jaxdiff.runs.train import setup
from jaxdiff.train.ema import primary
from jaxdiff.train.state import num_params

# Networks, where diffusion.experts is 1; the share of examples that is held out.
EXPERTS, HELD_OUT = 10, 0.2
# Times at which the loss is measured, and pairs of example and noise at each, at least.
TIMES, PAIRS = 40, 1000
# How much the numbers of parameters may differ.
CLOSE = 0.02


class Model(NamedTuple):
    """What is compared: its name, config, number of parameters, and width."""

    name: str
    config: ConfigDict
    size: int
    width: int


def bench_networks(config: ConfigDict, num_seeds: int, out: Path) -> list[dict]:
    """One row per model; writes networks.png and networks.json to `out`.

    Columns: width and number of parameters; the loss on held-out examples, with the
    same noise for all models; the sliced Wasserstein distance of samples from the
    examples trained on, for tables also a two-sample test, and for images with
    train.features and train.evaluate_every the Frechet distance and KID. All are means
    over seeds with their standard errors.

    Errors: before any training, ValueError for a config that does not fit.
    """
    require(num_seeds >= 2, f"--num_runs must be at least 2, for errors: {num_seeds}")
    source = build.make_source(config)
    order = permutation(0, 0, len(source))
    cut = int(len(source) * (1 - HELD_OUT))
    part, held = take(source, order[:cut]), take(source, order[cut:])
    models = make_models(config, part)
    for model in models:
        setup.prepare(model.config, None, part)
    every: dict[str, list[dict]] = {model.name: [] for model in models}
    todo = [(seed, model) for seed in range(num_seeds) for model in models]
    for seed, model in tqdm(todo, desc="networks", disable=None):
        values = measure(model.config, seed, part, held)
        every[model.name].append(values)
        tqdm.write(f"{model.name}, seed {seed}: loss {values['loss']:.5g}")
    answer = sentence(every)
    print(answer)
    several = models[1].config
    training = build.make_objective(several, part, build.make_schedule(several)).times
    edges = experts.make_edges(training, several.diffusion.experts)
    _draw(out / "networks.png", every, np.asarray(edges), answer)
    models_by_name = {
        m.name: {"width": m.width, "parameters": m.size, "seeds": every[m.name]}
        for m in models
    }
    figures = {"answer": answer, "edges": edges, "models": models_by_name}
    write_numbers(out / "networks.json", figures)
    return [_row(model, every[model.name]) for model in models]


def make_models(config: ConfigDict, source: Source) -> list[Model]:
    """One network and several of as many parameters, and both trained longer."""
    config = config.copy_and_resolve_references()
    num = config.diffusion.experts if config.diffusion.experts > 1 else EXPERTS
    if not source.is_image or config.train.features:
        # so that the run can be measured; when it is, is decided here
        config.train.evaluate_every = config.train.steps_per_call
    sizes, models = equal_sizes(config, source, num), []
    for times in (1, num):
        for number, (width, size) in sizes.items():
            name = "one network" if number == 1 else f"{number} networks"
            name += f", {times} x training" if times > 1 else ""
            of = _of_width(config, width, number)
            of.train.num_steps = config.train.num_steps * times
            models.append(Model(name, of, size, width))
    return models


def _of_width(config: ConfigDict, width: int, number: int) -> ConfigDict:
    config = config.copy_and_resolve_references()
    config.model[_width_field(config)] = width
    config.diffusion.experts = number
    return config


def _width_field(config: ConfigDict) -> str:
    taken = fields.takes("model", config.model.name)
    widths = [name for name in ("channels", "hidden") if name in taken]
    require(
        widths,
        f"model.name={config.model.name!r} takes no width (channels or hidden), by "
        "which networks are made equally large; take unet, or mlp for tables",
    )
    return widths[0]


def equal_sizes(
    config: ConfigDict, source: Source, num: int
) -> dict[int, tuple[int, int]]:
    """Number of networks, 1 and `num` -> (width, parameters), to CLOSE as many.

    The width of the one network is the even one nearest to the config's for which there
    is an even width of `num` networks with as many parameters.

    Errors: ValueError for a network without a width, or where there is no such pair.
    """
    field = _width_field(config)
    wide = config.model[field] // 2 * 2

    @cache
    def size(number: int, width: int) -> int:
        of = _of_width(config, width, number)
        task = build.make_task(of, source, lambda: build.make_schedule(of))
        return num_params(jax.eval_shape(task.init, jax.random.key(0)))

    for width in sorted(
        range(wide // 2, wide * 3 // 2, 2), key=lambda w: abs(w - wide)
    ):
        goal = size(1, width)
        narrow = nearest(partial(size, num), goal, width)
        if abs(size(num, narrow) / goal - 1) <= CLOSE:
            return {1: (width, goal), num: (narrow, size(num, narrow))}
    raise ValueError(
        f"no width of {num} networks gives the parameters of one network of about "
        f"model.{field}={wide} to {CLOSE:.0%}; take a larger model.{field}, or fewer "
        "diffusion.experts"
    )


def nearest(size: Callable[[int], int], goal: int, most: int) -> int:
    """The even width up to `most` whose size, which rises with it, is nearest."""
    low, high = 4, most
    while high - low > 2:
        middle = (low + high) // 4 * 2
        low, high = (middle, high) if size(middle) <= goal else (low, middle)
    return min((low, high), key=lambda width: abs(size(width) - goal))


def measure(
    config: ConfigDict, seed: int, part: Source, held: Source
) -> dict[str, Any]:
    """Train on `part`, and measure: t, loss_at_t, their mean loss, and distances."""
    config = config.copy_and_resolve_references()
    config.seed = seed
    run = setup.prepare(config, None, part)
    params = primary(setup.fit(run).ema)
    t, losses = loss_by_time(run, params, held)
    values = {"t": t, "loss_at_t": losses, "loss": float(losses.mean())}
    return values | _distances(run, params)


def _distances(run: setup.Run, params: PyTree) -> dict[str, float]:
    """Of samples from the examples trained on."""
    of, num = run.experiment, run.experiment.config.train.num_evaluate
    x = of.sampler().draw(params, of.config.seed, np.arange(num), of.conditions(num))
    real = of.source[np.arange(len(of.source))]["x"]
    real, x = (np.reshape(a, (len(a), -1)) for a in (real, x))
    values = {"sliced Wasserstein": transport.sliced(real, x)}
    values |= run.measure(params) if run.measure else {}
    values.pop("kid_error", None)
    return values


def loss_by_time(
    run: setup.Run, params: PyTree, held: Source
) -> tuple[np.ndarray, np.ndarray]:
    """Times f[T] that are even quantiles of those of training, and the loss at each."""
    of = run.experiment
    objective = build.make_objective(of.config, of.source, of.schedule)
    batch = held[np.arange(len(held)).repeat(-(-PAIRS // len(held)))]
    cond = jax.tree.map(jnp.asarray, of.task.cond_of(batch))
    ts = objective.times((jnp.arange(TIMES) + 0.5) / TIMES)
    losses = _losses(objective, of.task.model(params), ts, batch["x"], cond)
    order = np.argsort(ts)
    return np.asarray(ts)[order], np.asarray(losses, np.float64)[order]


@jax.jit
def _losses(
    objective: Objective, denoise: Denoise, ts: Array, x0: Array, cond: PyTree
) -> Array:
    """The mean squared error in the objective's weight (weights.py, eq. 2), f32[T]."""
    keys = rng.split_by(jax.random.key(0), jnp.arange(len(x0)))

    def at(k):
        c = coeffs(objective.schedule, ts[k])
        x_t = c.alpha * x0 + c.sigma * rng.draw(
            objective.noise, rng.fold(keys, k), x0.shape[1:]
        )
        a, b = objective.prediction(c)
        native = ((c.alpha * b - c.sigma * a) / c.sigma) ** 2
        factor = native * target_factor(objective.weight, (a, b), c)
        return factor * jnp.mean((denoise(x_t, ts[k], cond).x0 - x0) ** 2)

    return jax.lax.map(at, jnp.arange(len(ts)))


def _losses_of(every: dict[str, list[dict]]) -> np.ndarray:
    """f64[models, seeds, T]."""
    return np.array([[v["loss_at_t"] for v in some] for some in every.values()])


def sentence(every: dict[str, list[dict]]) -> str:
    """What the losses support, in words: several networks beside one, seed by seed."""
    one, several, _, longer = every
    mean = _losses_of(every).mean(axis=-1)
    return (
        f"With as many parameters and examples in total, the held-out loss of "
        f"{several} is {_change(mean[1] / mean[0])} that of {one}; with"
        f"{longer.partition(',')[2]} for both, it is {_change(mean[3] / mean[2])} "
        f"that of {one}."
    )


def _change(ratios):
    change, error = estimate(ratios - 1)
    if abs(change) <= 2 * error:
        return f"within its error ({change:+.1%} ± {error:.1%}) of"
    return f"{abs(change):.1%} ± {error:.1%} {'above' if change > 0 else 'below'}"


def estimate(values: Any) -> tuple[Any, Any]:
    """The mean over seeds f[seeds, ...] and its standard error."""
    values = np.asarray(values, np.float64)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return values.mean(axis=0), error


def _draw(path: Path, every: dict[str, list[dict]], edges: np.ndarray, title: str):
    names, losses = [*every], _losses_of(every)
    ratios = {names[k + 1]: losses[k + 1] / losses[k] for k in (0, 2)}
    first = every[names[0]][0]
    distance = "frechet" if "frechet" in first else "sliced Wasserstein"
    points = {n: estimate([v[distance] for v in some]) for n, some in every.items()}
    lines = {n: estimate(v) for n, v in zip(names, losses, strict=True)}
    ratio = {name: estimate(values) for name, values in ratios.items()}
    measure = titles.title(distance.split()[0]).axis("of samples")
    bands.save_bands(
        path,
        first["t"],
        [
            bands.Lines("held-out loss (lower is better)", lines, log=True),
            bands.Lines(
                "loss of several networks / of one", ratio, log=True, level=1.0
            ),
        ],
        bands.Bars(measure, points),
        xlabel="time t (0 is data, 1 is noise)\ndotted: edges of the networks",
        marks=edges.tolist(),
        title=title,
    )


def _row(model: Model, some: list[dict]) -> dict[str, Any]:
    row = {"model": model.name, "width": model.width, "parameters": model.size}
    for name in [k for k in some[0] if k not in ("t", "loss_at_t")]:
        mean, error = estimate([values[name] for values in some])
        row[name] = f"{mean:.4g} ± {error:.2g}"
    return row
