"""A model in the format of another project becomes a run at step 0.

It is sampled, evaluated, edited and trained on like any other run, also without data.
"""

import importlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxdiff import build, choices, fields, interop, ranges, schema
from jaxdiff.arrays import PyTree, require
from jaxdiff.data import images, latents
from jaxdiff.data import record as records
from jaxdiff.data.decoders import Pixels
from jaxdiff.data.record import Record
from jaxdiff.files import named
from jaxdiff.interop import mapping
from jaxdiff.interop.mapping import Foreign
from jaxdiff.lock import locked
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.first_stage import make_first_stage
from jaxdiff.tasks.task import Task
from jaxdiff.train import checkpoint
from jaxdiff.train.state import all_finite, init_state


def convert(
    path: Path,
    workdir: Path,
    config: ConfigDict | None = None,
    spec: str = "",
    trust: bool = False,
) -> None:
    """Write the model at `path` as a run.

    Without a config, the autoencoder of a latent pipeline becomes a run beside it, in
    WORKDIR_autoencoder. With one, that run is the config's data.path.

    config: of the experiment; None if the model's format determines all of it.
    spec:   the format, a name of jaxdiff.interop with its options; "" recognises it.
    trust:  import the code outside jaxdiff that the run config.data.path names.
    Errors: ValueError and OSError, in one line, before anything is written: for a
            model of no known format, tensors that are missing, unknown, of another
            shape or not finite, a config of another model, a workdir that is not empty.
    """
    files.check_new(workdir, "--to")
    maker = recognise(path, spec)
    model = _model(path, maker, config)
    stage = None if config is not None else _first_stage(path, maker)
    if stage:
        beside = workdir.with_name(f"{workdir.name}_autoencoder")
        files.check_new(beside, "--to")
        model.config.data.path = str(beside)
        _save(beside, _model(stage, maker, None), trust)
    _save(workdir, model, trust)


class _Model(NamedTuple):
    config: ConfigDict
    foreign: Foreign
    params: PyTree


def _model(path: Path, maker: Any, config: ConfigDict | None) -> _Model:
    """Everything of a model, checked. Errors: as `convert`."""
    given = schema.flat(config) if config is not None else None
    foreign = maker(path, given)
    with named(path):
        config = complete(foreign, config)
    # of the shape alone: codes have no other source before their encoder is a run
    source = records.restore(_record(foreign, config), None)
    assert source is not None  # pixels are restored without their data
    task = build.make_task(config, source, partial(build.make_schedule, config))
    return _Model(config, foreign, read(path, foreign, task))


def _save(workdir: Path, model: _Model, trust: bool) -> None:
    """Write a run at step 0. trust: as in `convert`."""
    config, foreign, params = model
    if config.data.name == "latents":
        record = _record_of_codes(foreign, config, trust)
        config.data.checksum = record.checksum
    else:
        record = _record(foreign, config)
    tx, _ = build.make_optimizer(config)
    state = init_state(params, tx, powers=len(config.train.ema_widths))
    with locked(workdir):
        files.check_new(workdir, "--to")
        files.save_config(workdir, config)
        records.save(workdir, record)
        manager = checkpoint.open_manager(
            workdir / files.CHECKPOINTS, keep_last=None, writes=True
        )
        checkpoint.save(manager, state)
        checkpoint.close(manager)


def _first_stage(path: Path, maker: Any) -> Path | None:
    """The autoencoder of a latent pipeline, where a format has them."""
    module = importlib.import_module(getattr(maker, "func", maker).__module__)
    return module.first_stage(path) if hasattr(module, "first_stage") else None


def recognise(path: Path, spec: str = "") -> Any:
    """The maker of a Foreign for the format of a path, with the options of the spec.

    Errors: FileNotFoundError; ValueError for none of the formats.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if spec:
        return choices.choose(interop, spec, {"path": "--from", "given": "--config"})
    known, refused = choices.members(interop), None
    for maker in known.values():
        module = importlib.import_module(maker.__module__)
        try:
            if module.matches(path):
                return maker
        except ValueError as error:  # of one format; others may read it
            refused = refused or error
    raise refused or ValueError(
        f"{path} has none of the formats {', '.join(known)}: neither its files nor "
        "the names of its tensors are those of such a network"
    )


def complete(foreign: Foreign, config: ConfigDict | None) -> ConfigDict:
    """The config of a run: what the model determines, and the rest of the given one.

    Errors: ValueError that lists the fields in which the given config differs.
    """
    whole = schema.get_config() if config is None else config
    whole = whole.copy_and_resolve_references()
    if config is None:
        whole.update_from_flattened_dict({**foreign.assumed, **foreign.fields})
        fields.settle(whole)
    stored = schema.flat(whole)
    pixels = {} if whole.data.name == "latents" else mapping.PIXELS
    others = [
        f"--config.{field}={_text(value)} (it has {_text(stored[field])})"
        for field, value in {**pixels, **foreign.fields}.items()
        if stored[field] != value
    ]
    require(
        not others,
        f"the config is of another model; this one needs {', '.join(others)}",
    )
    ranges.check(whole)
    fields.check(whole)
    return whole


def read(path: Path, foreign: Foreign, task: Task) -> PyTree:
    """The parameters of the model, checked. Errors: ValueError that names the path."""
    like = jax.eval_shape(task.init, jax.random.key(0))
    tensors = foreign.tensors()
    with named(path):
        params = mapping.read(foreign.table(like), tensors, like)
        params = jax.tree.map(jax.numpy.asarray, params)
        require(all_finite(params), "not all of its numbers are finite")
    return params


def _record(foreign: Foreign, config: ConfigDict) -> Record:
    """What is known of data that nobody has read: their shape, units and classes."""
    return Record(
        size=0,
        shape=foreign.shape,
        num_classes=foreign.classes,
        class_names=tuple(map(str, range(foreign.classes))),
        conditioned=False,
        moments=(),
        checksum="",
        fingerprint="",
        files="",
        given=False,
        decode=Pixels(config.data.low, 255.0)._asdict(),
    )


def _record_of_codes(foreign: Foreign, config: ConfigDict, trust: bool) -> Record:
    """As `_record`, of the codes of a run that is there, config.data.path."""
    run, d = Experiment(config, trust=trust), config.data
    stage = make_first_stage(run.autoencoder)
    source = latents.of_codes(stage, stage.source, foreign.shape)
    if d.standardise:
        source = images.standardise(source, d.mean, d.std)
    return replace(
        _record(foreign, config),
        moments=source.moments,
        checksum=stage.checksum,
        decode=records.of(replace(source, size=0, fingerprint=None)).decode,
    )


def _text(value: Any) -> str:
    """A value of a field as its flag takes it."""
    return f'"{value}"' if isinstance(value, tuple) else str(value)
