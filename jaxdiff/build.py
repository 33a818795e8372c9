"""From a config to objects: the only reader of a ConfigDict.

A choice is a name in a home. A home is a package, whose members are its files with a
`make`, or a module, whose members are its `__all__`. So a new file or function can be
chosen at once, and nothing is registered.
"""

import ast
import difflib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any, get_args

from ml_collections import ConfigDict

from jaxdiff import data as data_home
from jaxdiff import models as model_home
from jaxdiff import tasks as task_home
from jaxdiff.arrays import require
from jaxdiff.data import images
from jaxdiff.data.source import Source
from jaxdiff.diffusion import (
    editing,
    grids,
    inputs,
    losses,
    noises,
    predictions,
    scalings,
    schedules,
    times,
    weights,
)
from jaxdiff.diffusion import solvers as solver_home
from jaxdiff.diffusion.losses import Objective
from jaxdiff.diffusion.sampling import Solver
from jaxdiff.diffusion.schedules import Schedule
from jaxdiff.tasks.task import Task
from jaxdiff.train import ema, lr_schedules, optim

Home = ModuleType


def members(home: Home) -> dict[str, Callable]:
    """Every choice a home has, by name."""
    if not hasattr(home, "__path__"):
        return {name: getattr(home, name) for name in home.__all__}
    names = sorted(info.name for info in pkgutil.iter_modules(home.__path__))
    files = {n: importlib.import_module(f"{home.__name__}.{n}") for n in names}
    return {n: file.make for n, file in files.items() if hasattr(file, "make")}


def pick(home: Home, name: str) -> Callable:
    """The maker called `name`. Errors: ValueError that names the nearest and all."""
    if hasattr(home, "__path__"):
        full = f"{home.__name__}.{name}"
        if name.isidentifier() and importlib.util.find_spec(full):
            file = importlib.import_module(full)
            if hasattr(file, "make"):
                return file.make
    elif name in home.__all__:
        return getattr(home, name)
    known = members(home)
    raise ValueError(f"{home.__name__} has no {name!r}{hint(name, known)}")


def choose(home: Home, spec: str) -> Callable:
    """The maker of a spec "name" or "name(field=value, ...)", with its fields bound.

    Errors: ValueError for a spec of another form, an unknown name or field, or a value
    of another type than the maker's annotation.
    """
    try:
        call = ast.parse(spec, mode="eval").body
        if isinstance(call, ast.Name):
            name, fields = call.id, {}
        elif isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            require(not call.args, "fields need names")
            name = call.func.id
            fields = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        else:
            raise SyntaxError
    except (SyntaxError, ValueError):
        raise ValueError(
            f"{spec!r} is not 'name' or 'name(field=value, ...)' for {home.__name__}"
        ) from None
    maker = pick(home, name)
    return partial(maker, **_fitted(maker, fields, name))


def from_block(home: Home, block: ConfigDict, **derived: Any) -> Any:
    """Make what `block.name` names from those of the block's fields that it takes."""
    maker = pick(home, block.name)
    fields = {k: v for k, v in block.items() if k != "name"}
    return maker(**_taken(maker, {**fields, **derived}))


def make_source(config: ConfigDict) -> Source:
    """The data set; reads what it must to know its size, shape and classes.

    Every image of it, where it is to be standardised by what is not given.
    """
    d = config.data
    source = from_block(data_home, d)
    if not d.standardise:
        given = d.mean or d.std
        require(not given, "data.mean and data.std need data.standardise=True")
        return source
    require(source.is_image, "data.standardise is for images; tables always are")
    return images.standardise(source, d.mean, d.std)


def measured(config: ConfigDict, source: Source) -> ConfigDict:
    """The config that says what its source was standardised by, for a run to keep."""
    if source.moments:
        config = config.copy_and_resolve_references()
        config.data.mean, config.data.std = source.moments
    return config


def make_schedule(config: ConfigDict) -> Schedule:
    d = config.diffusion
    return choose(scalings, d.scaling)(choose(schedules, d.schedule)())


def make_objective(config: ConfigDict) -> Objective:
    d = config.diffusion
    schedule = make_schedule(config)
    require(
        not (d.learned_variance and d.bound_weight and config.data.standardise),
        "the bound of diffusion.learned_variance counts grey levels from -1 to 1; set "
        "data.standardise=False",
    )
    return Objective(
        schedule=schedule,
        prediction=choose(predictions, d.prediction)(),
        times=choose(times, d.times)(schedule),
        weight=choose(weights, d.weight)(),
        distance=choose(losses, d.distance)(),
        noise=choose(noises, d.noise)(),
        stratified=d.stratified,
        learned_variance=d.learned_variance,
        bound_weight=d.bound_weight if d.learned_variance else 0.0,
        bound_steps=d.bound_steps,
    )


def num_labels(config: ConfigDict, source: Source) -> int:
    """Classes the model is told of: the data's, or 0 without a condition."""
    choices = ("label", "none")
    condition = config.diffusion.condition
    require(
        condition in choices,
        f"diffusion.condition must be one of {choices}, got {condition!r}",
    )
    return source.num_classes if condition == "label" else 0


def make_task(config: ConfigDict, source: Source) -> Task:
    """What is trained: `config.task`, from the blocks that it reads."""
    known = members(task_home)
    require(config.task in known, f"task: no {config.task!r}{hint(config.task, known)}")
    return TASKS[config.task](config, source)


def _diffusion(config, source):
    d, labels = config.diffusion, num_labels(config, source)
    dropout = d.label_dropout if labels else 0.0
    require(
        0 <= dropout < 1, f"diffusion.label_dropout must be in [0, 1), got {dropout}"
    )
    network = _network(
        config,
        source,
        "denoiser",
        num_classes=labels,
        null_class=dropout > 0,
        learned_variance=d.learned_variance,
    )
    return pick(task_home, "diffusion")(
        network,
        make_objective(config),
        shape=source.shape,
        num_classes=labels,
        label_dropout=dropout,
        time_feature=choose(inputs, d.time_feature)(),
        sigma_data=d.sigma_data,
    )


def _classifier(config, source):
    return pick(task_home, "classifier")(
        _network(config, source, "classifier", num_classes=source.num_classes),
        make_objective(config),
        shape=source.shape,
        time_feature=choose(inputs, config.diffusion.time_feature)(),
        sigma_data=config.diffusion.sigma_data,
    )


def _autoencoder(config, source):
    a = config.autoencoder
    return pick(task_home, "autoencoder")(
        _network(config, source, "autoencoder", variational=a.kl_weight > 0),
        shape=source.shape,
        kl_weight=a.kl_weight,
        distance=choose(losses, a.distance)(),
    )


def _network(config, source, kind, **derived):
    """config.model's network, which must be one of that kind."""
    name = config.model.name
    own = name if name in ("classifier", "autoencoder") else "denoiser"
    require(own == kind, f"model.name={name!r} is not for task={config.task!r}")
    return from_block(model_home, config.model, shape=source.shape, **derived)


# How a task is made of a config: one function for each file of jaxdiff/tasks.
TASKS = {
    "diffusion": _diffusion,
    "classifier": _classifier,
    "autoencoder": _autoencoder,
}


def make_solver(config: ConfigDict) -> Solver:
    return choose(solver_home, config.sampler.solver)(make_schedule(config))


def make_grid(config: ConfigDict, num_steps: int = 0) -> grids.Grid:
    """num_steps: other than the sampler's own, or 0."""
    s = config.sampler
    return choose(grids, s.grid)(make_schedule(config), num_steps or s.num_steps)


def make_edit(config: ConfigDict) -> editing.Edit:
    return choose(editing, config.sampler.known)()


def make_optimizer(config: ConfigDict) -> tuple[optim.Optimizer, Callable]:
    """The optimiser, and its learning-rate schedule for the log."""
    t = config.train
    lr = choose(lr_schedules, t.lr)(num_steps=t.num_steps)
    return optim.clipped(choose(optim, t.optimizer)(lr), t.clip_norm), lr


def make_ema(config: ConfigDict) -> ema.Decay:
    return choose(ema, config.train.ema)()


def _taken(maker: Callable, fields: dict[str, Any]) -> dict[str, Any]:
    takes = inspect.signature(maker).parameters
    return {k: v for k, v in fields.items() if k in takes}


def _fitted(maker, fields, name):
    """Check fields against the maker's signature; ints become floats where asked."""
    takes = {
        k: kind
        for k, p in inspect.signature(maker).parameters.items()
        for kind in (int, float, str, bool)
        if kind is p.annotation or kind in get_args(p.annotation)
    }
    for field, value in fields.items():
        if field not in takes:
            raise ValueError(f"{name} has no field {field!r}{hint(field, takes)}")
        kind = takes[field]
        if kind is float and type(value) is int:
            fields[field] = float(value)
        elif type(value) is not kind:
            raise ValueError(
                f"{name}({field}=...) must be of type {kind.__name__}, got {value!r}"
            )
    return fields


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest, and all there are."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    did = f"; did you mean {near[0]!r}?" if near else "."
    return f"{did} It has: {', '.join(known) or 'none'}"
