"""Which fields of a config are taken by its choices. Nothing that is set is ignored.

In the blocks data and model, the maker that is chosen takes the fields in its
signature. For the rest, TASKS lists what only some tasks take, and NEEDS and SWITCHES
what a field depends on. Every other field is always taken.
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxdiff import data as data_home
from jaxdiff import models as model_home
from jaxdiff import tasks as task_home
from jaxdiff.arrays import require
from jaxdiff.choices import hint, members, parameters, pick
from jaxdiff.data.source import Source
from jaxdiff.schema import flat, get_config
from jaxdiff.upgrades import OLDER

HOMES = {"data": data_home, "model": model_home}
# The fields that decide which others are taken.
CHOICES = ("task", "data.name", "model.name")

# Fields of config.data that no maker takes: build.py and the training loop read them,
# for every source.
OF_ANY_DATA = ("standardise", "mean", "std", "flip", "holdout")

# What determines x_t, and the network's input for t.
NOISED = tuple(
    f"diffusion.{name}"
    for name in (
        *("schedule", "scaling", "times", "stratified", "noise"),
        *("time_feature", "sigma_data"),
    )
)
EVALUATED = tuple(
    f"train.{name}"
    for name in ("evaluate_every", "num_evaluate", "evaluate_steps", "features")
)
# Task -> the blocks and fields that it takes, of those that some tasks do not take.
TASKS: dict[str, tuple[str, ...]] = {
    "diffusion": ("diffusion", "sampler", "train.num_preview", *EVALUATED),
    "classifier": (*NOISED, "sampler.ema"),
    "autoencoder": ("autoencoder", "sampler.ema", "train.num_preview"),
}

# What the data are, and which sources are not pixels, before they are read.
ROWS, CODES, PIXELS = "rows of a table", "codes of an autoencoder", "images of pixels"
KINDS = {"iris": ROWS, "table": ROWS, "latents": CODES}

# Networks that ignore the time.
BLIND = ("basic_unet",)


class Chosen(NamedTuple):
    """A config with what is known of its data.

    kind:        ROWS, CODES or PIXELS
    labelled:    whether the data have class labels
    conditioned: whether they have class labels or another condition
    """

    config: ConfigDict
    kind: str
    labelled: bool
    conditioned: bool

    @property
    def conditional(self) -> bool:
        """Whether the model gets the condition, and can be trained to do without it."""
        given = self.conditioned and self.config.diffusion.condition == "label"
        network = takes("model", self.config.model.name)
        return given and bool(network & {"null_class", "example_cond"})


class Need(NamedTuple):
    """What a field depends on.

    holds: whether the field is taken
    words: what it needs, for a message
    cure:  what to do instead, or ""
    """

    holds: Callable[[Chosen], Any]
    words: str
    cure: str = ""


PIXELS_ONLY = Need(lambda c: c.kind == PIXELS, "images of pixels")
IMAGES_ONLY = Need(lambda c: c.kind != ROWS, "images")
JOINED = Need(
    lambda c: c.config.sampler.weak or c.config.sampler.guidance not in (0, 1),
    "two estimates to join",
    "set sampler.weak, or sampler.guidance to another number than 0 and 1",
)
KNOWN = Need(
    lambda c: c.kind != CODES and not c.config.diffusion.low_size,
    "a model of tables, or of pixels that is no upsampler",
)

NEEDS: dict[str, Need] = {
    "data.low": Need(
        lambda c: c.kind == PIXELS and not c.config.data.standardise,
        "images of pixels that are not standardised",
    ),
    "data.standardise": IMAGES_ONLY,
    "data.flip": PIXELS_ONLY,
    "model.conv_resample": Need(
        lambda c: not c.config.model.resblock_updown,
        "resampling in separate layers",
        "set model.resblock_updown=False",
    ),
    "model.downsample_padding": Need(
        lambda c: (
            c.config.model.name == "autoencoder"
            or (c.config.model.conv_resample and not c.config.model.resblock_updown)
        ),
        "a convolution that halves",
        "set model.conv_resample=True and model.resblock_updown=False",
    ),
    "diffusion.stratified": Need(
        lambda c: not c.config.diffusion.times.startswith("constant"),
        "times that differ within a batch",
        "choose other diffusion.times",
    ),
    "diffusion.time_feature": Need(
        lambda c: c.config.model.name not in BLIND, "a network that is given the time"
    ),
    "diffusion.label_dropout": Need(
        lambda c: c.conditional,
        "diffusion.condition='label', and data and a network that have a condition",
    ),
    "train.features": IMAGES_ONLY,
    "sampler.guidance": Need(
        lambda c: c.conditional and c.config.diffusion.label_dropout > 0,
        "a model trained with labels, or another condition, and "
        "diffusion.label_dropout > 0",
        "set sampler.guidance=1.0",
    ),
    "sampler.rule": JOINED,
    "sampler.interval": JOINED,
    "sampler.classifier": Need(lambda c: c.labelled, "data with labels"),
    "sampler.clip": PIXELS_ONLY,
    "sampler.quantile": PIXELS_ONLY,
    "sampler.known": KNOWN,
    "sampler.known_steps": KNOWN,
    "sampler.resample": KNOWN,
}

# Fields that count only if another field is set.
SWITCHES = {
    "data.crop": "data.size",
    "data.mean": "data.standardise",
    "data.std": "data.standardise",
    "diffusion.augment": "diffusion.low_size",
    "diffusion.bound_weight": "diffusion.learned_variance",
    "diffusion.bound_steps": "diffusion.learned_variance",
    "train.num_evaluate": "train.evaluate_every",
    "train.evaluate_steps": "train.evaluate_every",
    "train.features": "train.evaluate_every",
    "train.validate_every": "data.holdout",
    "sampler.ema": "train.ema_widths",
    "sampler.weak_scale": "sampler.weak",
    "sampler.classifier_scale": "sampler.classifier",
    "sampler.classifier_form": "sampler.classifier",
    "sampler.base": "diffusion.low_size",
    "sampler.augment": "diffusion.augment",
    "sampler.quantile": "sampler.clip",
}


@cache
def takes(block: str, name: str) -> frozenset[str]:
    """The fields of a block ("data", "model") that the maker of that spec takes.

    Errors: ValueError for an unknown name.
    """
    fields = parameters(HOMES[block], name)
    # the first stage of latent diffusion is read from its workdir
    return fields | {"path"} if "first_stage" in fields else fields


def taken(config: ConfigDict, source: Source | None = None) -> set[str]:
    """Every field that the choices of the config take.

    source, Errors: see `untaken`.
    """
    chosen = _chosen(config, source)
    return {field for field in flat(config) if not _refusal(chosen, field)}


def untaken(config: ConfigDict, source: Source | None = None) -> dict[str, str]:
    """The fields that differ from their defaults but are not taken, {field: why}.

    source: of config.data, if it has been read; only then is it certain what the data
            are.
    Errors: ValueError for an unknown task, data source or network, or a field that is
            not in the schema.
    """
    pick(task_home, config.task)
    default, chosen = flat(get_config()), _chosen(config, source)
    unused = {}
    for field, value in flat(config).items():
        if field not in default:
            raise ValueError(f"config has no field {field!r}{hint(field, default)}")
        why = _refusal(chosen, field) if value != default[field] else ""
        if why:
            unused[field] = f"{field}={value!r}{why}"
    return unused


def check(
    config: ConfigDict, source: Source | None = None, stored: ConfigDict | None = None
) -> list[str]:
    """Check that every field that is set is taken.

    Args:    source: see `untaken`.
             stored: a run's own config; fields with its value are not refused.
    Returns: the names of these fields.
    Errors:  ValueError for the first field that is set and not taken.
    """
    values = flat(config)
    # nobody set the value that an older run gets for a field that it lacks
    unset = {field for field, value in OLDER.items() if values[field] == value}
    unused = {k: why for k, why in untaken(config, source).items() if k not in unset}
    old = flat(stored) if stored else {}
    same = [field for field in unused if field in old and old[field] == values[field]]
    refused = [unused[field] for field in unused if field not in same]
    require(not refused, "".join(refused[:1]))
    return same


def settle(config: ConfigDict, flags: Collection[str] = ()) -> list[str]:
    """Set the fields that are not taken back to their defaults, and return their names.

    flags: fields that somebody set by hand, which are left alone.
    """
    default, reset = flat(get_config()), []
    # a field may depend on one that was set back
    while unused := [field for field in untaken(config) if field not in flags]:
        config.update_from_flattened_dict({field: default[field] for field in unused})
        reset += unused
    return reset


def varied(config: ConfigDict, field: str) -> ConfigDict:
    """The config with another value of a numeric field, if it then takes it."""
    if field not in flat(config):
        return config
    other = config.copy_and_resolve_references()
    other.update_from_flattened_dict({field: flat(config)[field] + 0.5})
    return config if field in untaken(other) else other


def kind(config: ConfigDict, source: Source | None = None) -> str:
    """ROWS, CODES or PIXELS. source: see `untaken`."""
    if source is not None:
        pixels = CODES if source.bounds is None else PIXELS
        return pixels if source.is_image else ROWS
    if config.data.name == "synthetic":
        return ROWS if len(config.data.shape) == 1 else PIXELS
    return KINDS.get(config.data.name, PIXELS)


def _chosen(config, source):
    if source is not None:
        has_cond, labelled = source.example_cond is not None, source.num_classes > 0
    else:
        d = config.data
        labelled = d.num_classes > 0 if d.name == "synthetic" else d.name not in KINDS
        labelled |= d.name == "latents"  # as far as the images have labels
        has_cond = labelled
    return Chosen(config, kind(config, source), labelled, has_cond)


def _refusal(chosen, field):
    """Why a field is not taken, and the cure, after "field=value"; "" if taken."""
    config = chosen.config
    block, _, name = field.partition(".")
    tasks = [task for task, row in TASKS.items() if field in row or block in row]
    if tasks and config.task not in tasks:
        return _other("task", "task", config.task, tasks, tasks)
    if block in HOMES and name not in ("name", *OF_ANY_DATA):
        home, maker = HOMES[block], config[block].name
        if name not in takes(block, maker):
            others = [other for other in members(home) if name in takes(block, other)]
            # a network with the name of a task is for that task only
            fit = [other for other in others if not {maker, other} & {*TASKS}]
            return _other(block, f"{block}.name", maker, others, fit)
    need = NEEDS.get(field)
    if need and not need.holds(chosen):
        cure = f", or {need.cure}" if need.cure else ""
        return f" needs {need.words}. Leave it out{cure}"
    switch = SWITCHES.get(field)
    if switch and not config[switch]:
        return f" counts only with {switch}. Leave it out, or set {switch}"
    return ""


def _other(what, field, name, others, fit):
    """Why and cure, if other tasks, data sources or networks take a field."""
    verb = "takes" if len(others) == 1 else "take"
    cure = f", or choose {field}={fit[0]}" if fit else ""
    return (
        f": {what} {name!r} does not take it; {', '.join(others)} {verb} it. "
        f"Leave it out{cure}"
    )
