"""The sampler of a config: guided, of a cascade, or given what is known."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from ml_collections import ConfigDict

from jaxdiff import build, ranges, rng
from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.diffusion import editing, guidance, sampling
from jaxdiff.diffusion.denoisers import clip, dynamic_threshold
from jaxdiff.diffusion.types import Denoise, Edit, Schedule, Solver
from jaxdiff.runs.batched import PerImage, Shared, draw_batch, draw_batches
from jaxdiff.tasks.classifier import Classify
from jaxdiff.tasks.task import Task

# (solver, its falling times) -> what is run instead, and along which times
Route = Callable[[Solver, np.ndarray], tuple[Solver, np.ndarray]]
# (seed u32[], index i32[n], cond) -> f32[n, ...], a Partial: its leaves are its numbers
# and parameters, and JAX can trace it
Program = Partial


class Sampler(NamedTuple):
    """draw:   (params, seed, index i64[n], cond leading with n) -> f32[n, *shape] in
            model units; image i depends on (seed, index[i], cond[i]) alone. For an
            upsampler also on low[i], f32[n, s, s, c], by default its base's image i;
            where some of x0 is known on values[i], f32[n, *shape] in model units. It
            starts from noise of its own, or from x_T[i], f32[n, *shape]
    nfe:    () -> NFE of one image, that of the base included
    wrap:   denoiser -> denoiser, the guidance and clipping of the config
    shared: params -> Shared
    per_image: (seed, index, cond, low, values, x_T) -> PerImage, as `draw` takes them
    program: Shared -> Program, which draws the same on the device alone
    """

    draw: Callable[..., np.ndarray]
    nfe: Callable[[], int]
    wrap: Callable[[Denoise], Denoise]
    shared: Callable[[Any], Shared]
    per_image: Callable[..., PerImage]
    program: Callable[[Shared], Program]


class Base(NamedTuple):
    """What makes an upsampler's small images.

    draw:  (seed, index, cond) -> f32[n, s, s, c] in the upsampler's model units
    nfe:   () -> NFE of one image
    program: what draws the same on the device alone
    """

    draw: Callable[..., np.ndarray]
    nfe: Callable[[], int]
    program: Program


class Guides(NamedTuple):
    """The other models that a sampler uses, None for those that it does not.

    classifier: of noisy data.  weak: a weaker denoiser.  base: of an upsampler
    """

    classifier: Classify | None = None
    weak: Denoise | None = None
    base: Base | None = None


def make_sampler(
    config: ConfigDict,
    source: Source,
    task: Task,
    schedule: Schedule,
    guides: Guides,
    *,
    mask: Any = None,
    edit: Edit | None = None,
    route: Route | None = None,
    general: bool = False,
) -> Sampler:
    """The sampler of config.sampler.

    mask: bool[*shape], the values of x0 that are known and `draw` is given; or None.
    edit: how they are used, instead of config.sampler.known; its mask may be a Linear.
    route: what solver to run along which times instead of the config's.
    general: guided at every scale alike, also where an evaluation then counts for
        nothing, so that samplers of all scales have one structure.
    Errors: ValueError for what does not fit.
    """
    _check(config, task)
    s, noise = config.sampler, build.make_noise(config)
    known = build.make_edit(config)  # also where it is not used: to be checked
    solver = build.make_solver(config, schedule)
    grid = build.make_grid(config, schedule, 0 if mask is None else s.known_steps)
    repeated = editing.resample(solver, schedule, s.resample)
    if mask is not None:
        edit = edit or known
        solver = repeated if s.resample > 1 else solver
    solver, grid = route(solver, grid) if route else (solver, grid)
    wrap = _make_wrap(config, source, task, schedule, guides, general)

    def shared(params):
        ts, denoise = jnp.asarray(grid, jnp.float32), wrap(task.model(params))
        return Shared(denoise, solver, ts, schedule, noise, edit, mask)

    def per_image(seed, index, cond, low=None, values=None, x_T=None):
        if low is None and task.is_upsampler:
            if guides.base is None:
                raise ValueError(no_base(config.diffusion.low_size))
            low = guides.base.draw(seed, index, cond)
        amount = None
        if low is not None and config.diffusion.augment:
            amount = np.full(len(index), s.augment)
        return PerImage(index, cond, low, values, x_T, amount)

    def draw(params, seed, index, cond, *, low=None, values=None, x_T=None):
        images = per_image(seed, index, cond, low, values, x_T)
        return draw_batches(shared(params), images, source.shape, seed, s.batch_size)

    def nfe():
        count = sampling.count_nfe(solver, jnp.asarray(grid, jnp.float32))
        return count + (guides.base.nfe() if guides.base else 0)

    program = partial(_program, per_image, source.shape, guides.base)
    return Sampler(draw, nfe, wrap, shared, per_image, program)


def _program(per_image, shape, base: Base | None, shared: Shared) -> Program:
    trace = partial(_trace, per_image, shape)
    return Partial(trace, shared, base and base.program)


def _trace(per_image, shape, shared, base, seed, index, cond):
    low = base(seed, index, cond) if base else None
    images = per_image(seed, index, cond, low)
    keys = rng.split_by(jax.random.key(seed), index)
    images = jax.tree.map(jnp.asarray, images._replace(seeds=keys))
    return draw_batch(shared, images, shape)


def _check(config: ConfigDict, task: Task) -> None:
    """ValueError for fields of config.sampler that are out of range, or do not fit."""
    ranges.check(config, "sampler")
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
    most = config.diffusion.augment
    require(
        0 <= s.augment <= most,
        f"sampler.augment={s.augment} must be from 0 to diffusion.augment={most}, up "
        "to which the upsampler was trained",
    )
    require(
        len(s.interval) in (0, 2) and s.interval == (*sorted(s.interval),),
        f"sampler.interval must be (low, high) or (), got {s.interval}",
    )
    form = s.classifier_form
    require(
        form in guidance.FORMS,
        f"sampler.classifier_form must be one of {', '.join(guidance.FORMS)}, got "
        f"{form!r}",
    )
    require(
        not s.classifier or form != "mean" or s.solver.startswith("ddpm"),
        f"sampler.classifier_form=mean needs the solver ddpm, got {s.solver}; use "
        "score",
    )


def _make_wrap(
    config: ConfigDict,
    source: Source,
    task: Task,
    schedule: Schedule,
    guides: Guides,
    general: bool,
) -> Callable[[Denoise], Denoise]:
    """denoiser -> denoiser: autoguidance, classifier-free guidance, clipping, and
    classifier guidance, in this order, which is ADM's.
    """
    s = config.sampler
    how: dict[str, Any] = {
        "schedule": schedule,
        "rule": build.make_rule(config),
        "interval": tuple(map(float, s.interval or (0.0, np.inf))),
    }

    def wrap(denoise: Denoise) -> Denoise:
        if guides.weak:
            denoise = guidance.autoguidance(denoise, guides.weak, s.weak_scale, **how)
        # at scales 0 and 1 one of the two evaluations would count for nothing
        if general and task.null is not None:
            denoise = guidance.cfg(denoise, task.null, s.guidance, **how)
        elif s.guidance == 0:
            denoise = guidance.unconditional(denoise, task.null)
        elif s.guidance != 1:
            denoise = guidance.cfg(denoise, task.null, s.guidance, **how)
        if s.clip and source.bounds:
            if s.quantile:
                denoise = dynamic_threshold(denoise, s.quantile, *source.bounds)
            denoise = clip(denoise, *source.bounds)
        if guides.classifier:
            args = guides.classifier.logits, schedule, s.classifier_scale
            denoise = guidance.classifier(denoise, *args, s.classifier_form)
        return denoise

    return wrap


def make_base(
    sampler: Sampler, params: Any, inner: Source, outer: Source, num_classes: int
) -> Base:
    """inner: what the sampler draws, of so many classes.  outer: of the upsampler."""

    def small(draw, seed, index, cond):
        # an upsampler without classes: image i has a class of its number, so that it
        # does not depend on the others drawn with it
        if cond is None and num_classes:
            cond = (index % num_classes).astype(np.int32)
        x = draw(seed, index, cond)
        return outer.encode(inner.decode(x) * (outer.peak / inner.peak))

    draw = partial(small, partial(sampler.draw, params))
    program = Partial(small, sampler.program(sampler.shared(params)))
    return Base(draw, sampler.nfe, program)


def no_base(size: int) -> str:
    """The error of an upsampler without small images."""
    return (
        f"this run enlarges {size}x{size} images: --config.sampler.base=WORKDIR names "
        "the run that makes them"
    )
