"""The sampler of a config: guided, of a cascade, or given what is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build
from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.diffusion import editing, guidance, sampling
from jaxdiff.diffusion.denoisers import Denoise, clip, dynamic_threshold
from jaxdiff.runs import workdir as files
from jaxdiff.runs.batched import Each, Plan, draw_plan
from jaxdiff.runs.experiment import load, load_classifier, load_weak
from jaxdiff.tasks.task import Task

# (solver, its falling times) -> what is run instead, and along which times
Route = Callable[[sampling.Solver, np.ndarray], tuple[sampling.Solver, np.ndarray]]


class Sampler(NamedTuple):
    """draw:   (params, seed, index i64[n], labels i32[n] or None) -> f32[n, *shape] in
            model units; image i depends on (seed, index[i], labels[i]) alone. Of an
            upsampler also on low[i], f32[n, s, s, c], by default its base's image i;
            where some of x0 is known on values[i], f32[n, *shape] in model units. It
            starts from noise of its own, or from x_T[i], f32[n, *shape]
    calls:  () -> network calls one image costs, those of the base included
    wrap:   denoiser -> denoiser, the guidance and clipping of the config
    plan:   params -> Plan
    each:   (seed, index, labels, low, values, x_T) -> Each, as `draw` takes them
    """

    draw: Callable[..., np.ndarray]
    calls: Callable[[], int]
    wrap: Callable[[Denoise], Denoise]
    plan: Callable[[Any], Plan]
    each: Callable[..., Each]


class Base(NamedTuple):
    """Where an upsampler has its small images from.

    draw:  (seed, index, labels) -> f32[n, s, s, c] in the upsampler's model units
    calls: () -> network calls one image costs
    """

    draw: Callable[..., np.ndarray]
    calls: Callable[[], int]


def make_sampler(
    config: ConfigDict,
    source: Source,
    task: Task,
    *,
    base: Base | None = None,
    mask: Any = None,
    edit: editing.Edit | None = None,
    route: Route | None = None,
    general: bool = False,
) -> Sampler:
    """The sampler of config.sampler.

    base: of an upsampler, unless `draw` is given small images.
    mask: bool[*shape], the values of x0 that are known and `draw` is given; or None.
    edit: how they are known, instead of config.sampler.known; its mask may be a Linear.
    route: what solver to run along which times instead of the config's.
    general: guided at every scale alike, also where a call then counts for nothing, so
        that plans of all scales have one structure.
    Errors: ValueError for what does not fit.
    """
    s = config.sampler
    require(
        task.kind == "denoiser",
        f"task={config.task!r} trains no denoiser, so that there is nothing to sample "
        "from; launch.plot draws what it can",
    )
    require(
        s.guidance == 1 or task.null is not None,
        f"sampler.guidance={s.guidance} needs a model trained with labels and "
        "diffusion.label_dropout > 0; set sampler.guidance=1.0",
    )
    require(s.batch_size >= 1, f"sampler.batch_size must be >= 1, got {s.batch_size}")
    require(
        s.known_steps >= 0, f"sampler.known_steps must be >= 0, got {s.known_steps}"
    )
    require(
        0 <= s.quantile <= 1,
        f"sampler.quantile must be from 0 (off) to 1, got {s.quantile}",
    )
    augment, most = s.augment, config.diffusion.augment
    require(
        0 <= augment <= most,
        f"sampler.augment={augment} must be from 0 to diffusion.augment={most}, up to "
        "which the upsampler was trained",
    )
    schedule, noise = build.make_schedule(config), build.make_noise(config)
    known = build.make_edit(config)  # also where it is not used: to be checked
    solver, grid = build.make_solver(config), build.make_grid(config)
    repeated = editing.resample(solver, schedule, s.resample)
    if mask is not None:
        edit = edit or known
        grid = build.make_grid(config, s.known_steps)
        solver = repeated if s.resample > 1 else solver
    solver, grid = route(solver, grid) if route else (solver, grid)
    judge = load_classifier(config, source) if s.classifier else None
    weak = load_weak(config, source) if s.weak else None
    require(
        len(s.interval) in (0, 2),
        f"sampler.interval must be (low, high) or (), got {s.interval}",
    )
    how = {
        "schedule": schedule,
        "rule": build.make_rule(config),
        "interval": tuple(map(float, s.interval or (0.0, np.inf))),
    }

    def wrap(denoise: Denoise) -> Denoise:
        if weak:
            other = weak.task.model(weak.params)
            denoise = guidance.autoguidance(denoise, other, s.weak_scale, **how)
        # at scales 0 and 1 one of the two network calls would count for nothing
        if general and task.null is not None:
            denoise = guidance.cfg(denoise, task.null, s.guidance, **how)
        elif s.guidance == 0:
            denoise = guidance.unlabelled(denoise, task.null)
        elif s.guidance != 1:
            denoise = guidance.cfg(denoise, task.null, s.guidance, **how)
        if judge:
            scale, form = s.classifier_scale, s.classifier_form
            denoise = guidance.classifier(denoise, judge.logits, schedule, scale, form)
        if not (s.clip and source.bounds):
            return denoise
        if s.quantile:
            denoise = dynamic_threshold(denoise, s.quantile, *source.bounds)
        return clip(denoise, *source.bounds)

    def plan(params):
        ts, denoise = jnp.asarray(grid, jnp.float32), wrap(task.model(params))
        return Plan(denoise, solver, ts, schedule, noise, edit, mask)

    def each(seed, index, labels, low=None, values=None, x_T=None):
        if low is None and config.diffusion.low_size:
            if base is None:
                raise ValueError(_baseless(config))
            low = base.draw(seed, index, labels)
        amount = np.full(len(index), augment) if low is not None and most else None
        return Each(index, labels, low, values, x_T, amount)

    def draw(params, seed, index, labels, *, low=None, values=None, x_T=None):
        told = each(seed, index, labels, low, values, x_T)
        return draw_plan(plan(params), told, source.shape, seed, s.batch_size)

    def calls():
        own = sampling.count_nfe(solver, jnp.asarray(grid, jnp.float32))
        return own + (base.calls() if base else 0)

    return Sampler(draw, calls, wrap, plan, each)


def load_base(config: ConfigDict, source: Source) -> Base | None:
    """The run that config.sampler.base names, for an upsampler; None for other models.

    It samples as its own config says, and the same images as it would by itself.
    Errors: ValueError or FileNotFoundError for a run that is none or does not fit.
    """
    size = config.diffusion.low_size
    if not size:
        return None
    require(config.sampler.base, _baseless(config))
    folder = Path(config.sampler.base)
    trained = load(folder, files.load_config(folder))
    inner = trained.source
    shape, classes = (size, size, source.shape[-1]), num_asked(config, source)
    told = num_asked(trained.config, inner)
    require(
        inner.is_image and inner.shape == shape and classes in (0, told),
        f"sampler.base: {folder} makes {inner.shape} of {told} classes, and this run "
        f"enlarges {shape} of {classes}",
    )
    below = load_base(trained.config, inner)  # it may be an upsampler too
    sampler = make_sampler(trained.config, inner, trained.task, base=below)

    def draw(seed, index, labels):
        # classes that the upsampler is not told of: image i has its own, drawn with
        # whichever others
        if labels is None and told:
            labels = (np.asarray(index) % told).astype(np.int32)
        x = sampler.draw(trained.params, seed, index, labels)
        return source.encode(inner.decode(x) * (source.peak / inner.peak))

    return Base(draw, sampler.calls)


def _baseless(config):
    size = config.diffusion.low_size
    return (
        f"this run enlarges {size}x{size} images: --config.sampler.base=WORKDIR names "
        "the run that makes them"
    )


def num_asked(config: ConfigDict, source: Source) -> int:
    """Classes that samples can be asked of: the model's, or its classifier's."""
    told = build.num_labels(config, source)
    return source.num_classes if config.sampler.classifier else told


def even_labels(num: int, num_classes: int) -> np.ndarray | None:
    """i32[num], as many of each class as can be, in order; None without classes."""
    if not num_classes:
        return None
    return (np.arange(num) * num_classes // num).astype(np.int32)
