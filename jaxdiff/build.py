"""From a config to objects. Other readers of a config read their command's block."""

import re
from collections.abc import Callable
from functools import partial

from ml_collections import ConfigDict

from jaxdiff import data as data_home
from jaxdiff import models as model_home
from jaxdiff import notes
from jaxdiff import tasks as task_home
from jaxdiff.arrays import require
from jaxdiff.choices import choose, from_block, hint, members, parameters, parse, pick
from jaxdiff.data import compare, holdout, images
from jaxdiff.data.latents import FirstStage
from jaxdiff.data.record import Record
from jaxdiff.data.source import Source
from jaxdiff.diffusion import (
    editing,
    grids,
    inputs,
    likelihood,
    losses,
    noises,
    predictions,
    rules,
    scalings,
    schedules,
    times,
    upsampling,
    weights,
)
from jaxdiff.diffusion import solvers as solver_home
from jaxdiff.diffusion.losses import Objective
from jaxdiff.diffusion.sampling import check_grid, error_gain
from jaxdiff.diffusion.types import Edit, Rule, Schedule, Solver
from jaxdiff.tasks.task import Task
from jaxdiff.train import ema, lr_schedules, optim

MOST_GAIN = 2.0  # see sampling.error_gain: above it samples can be noise


def make_source(
    config: ConfigDict,
    first_stage: FirstStage | None = None,
    record: Record | None = None,
) -> Source:
    """The data set to train on. This reads as much of it as size, shape and classes
    need; every image, if some are held out, or moments are to be measured.

    Args:   first_stage: for data.name="latents", whose codes are the data.
            record: of a run's data, which are then read once a row is needed.
    Errors: ValueError for a field that does not fit the data.
    """
    d = config.data.copy_and_resolve_references()

    def read() -> Source:
        make, block = partial(from_block, data_home), d.to_dict()
        splits = "split" in parameters(data_home, d.name)
        source = holdout.read(make, block, splits, first_stage)
        if not d.standardise:
            given = d.mean or d.std
            require(not given, "data.mean and data.std need data.standardise=True")
            return source
        require(source.is_image, "data.standardise is for images; tables always are")
        return images.standardise(source, d.mean, d.std)

    if record is None:
        return read()
    d.checksum = d.checksum if first_stage else ""  # changed files are only noted
    name = d.path or d.dataset or d.name
    return compare.recorded(record, read, first_stage, name, bool(d.holdout))


def measured(config: ConfigDict, source: Source) -> ConfigDict:
    """The config with what was measured of its source, for a run to store."""
    config = config.copy_and_resolve_references()
    if source.moments:
        config.data.mean, config.data.std = source.moments
    config.data.checksum = source.checksum
    return config


def make_schedule(config: ConfigDict) -> Schedule:
    d = config.diffusion
    return choose(scalings, d.scaling)(choose(schedules, d.schedule)())


def make_noise(config: ConfigDict) -> noises.Noise:
    return choose(noises, config.diffusion.noise)()


def make_objective(config: ConfigDict, source: Source, schedule: Schedule) -> Objective:
    """The training objective of a denoiser."""
    d = config.diffusion
    return Objective(
        **_noising(config, schedule),
        prediction=choose(predictions, d.prediction)(),
        weight=choose(weights, d.weight)(),
        distance=choose(losses, d.distance)(),
        learned_variance=d.learned_variance,
        bound_weight=d.bound_weight if d.learned_variance else 0.0,
        bound_steps=d.bound_steps,
        decoder=make_decoder(source),
    )


def _noising(config, schedule):
    """The fields of an Objective that determine x_t."""
    d = config.diffusion
    return {
        "schedule": schedule,
        "times": choose(times, d.times)(schedule),
        "noise": make_noise(config),
        "stratified": d.stratified,
    }


def takes_cond(config: ConfigDict) -> bool:
    """Whether the model takes the condition of its data, if they have one."""
    choices, condition = ("label", "none"), config.diffusion.condition
    text = f"diffusion.condition must be one of {choices}, got {condition!r}"
    require(condition in choices, text)
    return condition == "label"


def num_labels(config: ConfigDict, source: Source) -> int:
    """The number of classes that the model distinguishes; 0 without labels."""
    return source.num_classes if takes_cond(config) else 0


def make_task(
    config: ConfigDict, source: Source, schedule: Callable[[], Schedule]
) -> Task:
    """What is trained: `config.task`, from the blocks that it reads.

    schedule: gives that of make_schedule, which is built once for a run; a task without
            noise does not call it.
    Errors: ValueError for an unknown task, and for fields that do not fit together.
    """
    known = members(task_home)
    require(config.task in known, f"task: no {config.task!r}{hint(config.task, known)}")
    return TASKS[config.task](config, source, schedule)


def _diffusion(config, source, schedule):
    d, classes = config.diffusion, num_labels(config, source)
    cond = source.example_cond if takes_cond(config) else None
    dropout = 0.0 if cond is None else d.label_dropout
    fits = 0 <= dropout < 1
    require(fits, f"diffusion.label_dropout must be in [0, 1), got {dropout}")
    extra = _check_low(config, source) if d.low_size else {}
    if d.learned_variance:
        _check_takes(config, "learned_variance", "gives no variance")
    require(
        cond is None or classes or _takes(config, "example_cond"),
        f"model.name={config.model.name!r} takes no condition but class labels, which "
        "these data do not have; set diffusion.condition='none'",
    )
    network = _network(
        config,
        source,
        "denoiser",
        num_classes=classes,
        null_class=dropout > 0,
        example_cond=cond,
        learned_variance=d.learned_variance,
        **extra,
    )
    return pick(task_home, "diffusion")(
        network,
        make_objective(config, source, schedule()),
        shape=source.shape,
        example_cond=cond,
        null=classes or source.null,
        cond_dropout=dropout,
        time_feature=choose(inputs, d.time_feature)(),
        sigma_data=d.sigma_data,
        low_size=d.low_size,
        augment=d.augment,
        num_experts=d.experts,
    )


def _check_low(config, source):
    """What the network of an upsampler needs beyond that of other models."""
    d, shape = config.diffusion, source.shape
    require(
        len(shape) == 3 and 0 < d.low_size < min(shape[:2]) and shape[0] == shape[1],
        f"diffusion.low_size={d.low_size} must be from 1 to below the side of square "
        f"images, and the data are {shape}; 0 is for models that are no upsamplers",
    )
    require(0 <= d.augment < 1, f"diffusion.augment must be in [0, 1), got {d.augment}")
    _check_takes(config, "low_size", "takes no image beside x_t", "extra_channels")
    return {"extra_channels": upsampling.extra_channels(shape, d.augment)}


def _check_takes(config, field, lacks, parameter=""):
    """ValueError unless the network takes what a field of diffusion needs."""
    require(
        _takes(config, parameter or field),
        f"model.name={config.model.name!r} {lacks}, which "
        f"diffusion.{field}={config.diffusion[field]} needs; use 'unet'",
    )


def _takes(config, parameter):
    return parameter in parameters(model_home, config.model.name)


def _classifier(config, source, schedule):
    return pick(task_home, "classifier")(
        _network(config, source, "classifier", num_classes=source.num_classes),
        # only x_t is used, so prediction, weight and distance are fixed
        Objective(
            **_noising(config, schedule()),
            prediction=predictions.x0(),
            weight=weights.native(),
            distance=losses.mse(),
        ),
        shape=source.shape,
        time_feature=choose(inputs, config.diffusion.time_feature)(),
        sigma_data=config.diffusion.sigma_data,
    )


def _autoencoder(config, source, schedule):
    del schedule
    a = config.autoencoder
    return pick(task_home, "autoencoder")(
        _network(config, source, "autoencoder", variational=a.kl_weight > 0),
        shape=source.shape,
        kl_weight=a.kl_weight,
        distance=choose(losses, a.distance)(),
    )


def _network(config, source, kind, **derived):
    """The network of config.model, which must be one for that kind of task."""
    name = config.model.name
    of_name = name if name in ("classifier", "autoencoder") else "denoiser"
    require(of_name == kind, f"model.name={name!r} is not for task={config.task!r}")
    return from_block(model_home, config.model.to_dict(), shape=source.shape, **derived)


# Makes each task from a config: one function per file of jaxdiff/tasks.
TASKS = {
    "diffusion": _diffusion,
    "classifier": _classifier,
    "autoencoder": _autoencoder,
}


def make_solver(config: ConfigDict, schedule: Schedule) -> Solver:
    fields = parse(solver_home, config.sampler.solver)[1]
    require(
        config.diffusion.learned_variance or fields.get("variance") != "learned",
        f"sampler.solver={config.sampler.solver} needs a model trained with "
        "diffusion.learned_variance=True; take 'small' or 'large'",
    )
    return choose(solver_home, config.sampler.solver)(schedule)


def make_grid(config: ConfigDict, schedule: Schedule, num_steps: int = 0) -> grids.Grid:
    """The sampler's grid; steps too long for its solver are noted. num_steps: or 0."""
    s, stated = config.sampler, _stated(config)
    ts = grid_of_steps(config, schedule, num_steps or s.num_steps)
    if stated and error_gain(schedule, ts) > MOST_GAIN:
        auto = "" if s.grid.startswith("auto") else "set sampler.grid=auto, or "
        notes.note_once(
            f"the steps of sampler.grid={s.grid} are too long for {s.solver}: samples "
            f"can be noise; {auto}take more sampler.num_steps"
        )
    return ts


def grid_of_steps(config: ConfigDict, schedule: Schedule, num_steps: int) -> grids.Grid:
    """The sampler's grid of so many steps. Errors: ValueError if it has none."""
    grid, stated = config.sampler.grid, _stated(config)
    make = choose(grids, grid, {"num_steps": "sampler.num_steps"})
    how = {"stated": stated} if parse(grids, grid)[0] == "auto" else {}
    return check_grid(grid, make(schedule, num_steps, **how), num_steps)


def _stated(config):
    """The grid that the sampler's solver states, if any."""
    solver, _ = parse(solver_home, config.sampler.solver)
    return solver_home.grid_of(pick(solver_home, solver))


def make_rule(config: ConfigDict) -> Rule:
    return choose(rules, config.sampler.rule)()


def make_edit(config: ConfigDict) -> Edit:
    return choose(editing, config.sampler.known)()


def make_decoder(source: Source) -> likelihood.Decoder:
    """p(x0 | x_s) of a bound's last step: over the levels of pixels, or a density."""
    if source.bounds is None:
        return likelihood.density()
    return likelihood.levels(*source.bounds, num=int(source.peak) + 1)


def make_optimizer(config: ConfigDict) -> tuple[optim.Optimizer, Callable]:
    """The optimiser, and its learning-rate schedule for the log."""
    t = config.train
    number = re.fullmatch(r"[\d.eE+-]+", t.lr)
    spec = f"constant(peak={t.lr})" if number else t.lr
    given = {"num_steps": "train.num_steps"}
    lr = choose(lr_schedules, spec, given)(num_steps=t.num_steps)
    return optim.clipped(choose(optim, t.optimizer)(lr), t.clip_norm), lr


def make_ema(config: ConfigDict) -> ema.Decay | tuple[ema.Decay, ...]:
    """The decay of the run's average; with train.ema_widths, a tuple of all decays."""
    first, widths = choose(ema, config.train.ema)(), config.train.ema_widths
    return (first, *map(ema.power, widths)) if widths else first
