"""Training from Python: `jaxdiff.fit(config, data=..., workdir=...)`."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from jaxdiff import fields, schema
from jaxdiff.api.model import Model, folder_of
from jaxdiff.arrays import require
from jaxdiff.data import arrays
from jaxdiff.notes import note
from jaxdiff.runs.train import loop, setup

# Fields of config.data that count for given examples too, and those that name the data
# set of a config, which is not read where examples are given.
TAKEN = ("low", "holdout", "flip")
NAMING = (
    *("name", "path", "dataset", "split", "data_dir", "download", "checksum", "rules"),
    *("shape", "num_classes", "num_examples"),  # of synthetic data
)


def fit(
    config: ConfigDict | Mapping[str, Any],
    *,
    workdir: str | Path,
    data: Any = None,
    trust: bool = False,
) -> Model:
    """Train a model, or resume its run, as `launch.train` does; then load it.

    Args:   config: of a file of configs/, or {field: value} beside the defaults of
            jaxdiff/schema.py: {"model.name": "mlp", "train.num_steps": 2000}.
            workdir: where the run is written, or resumed.
            data: instead of config.data, what data/arrays.py takes: arrays, (images,
            labels), a DataFrame, a datasets.Dataset, a Source, or an object with
            __len__ and __getitem__. data.low is the value of black in model units.
            The data set that a file of configs/ names is not read then; other fields
            of config.data, but low, holdout and flip, are refused.
            trust: import the code outside jaxdiff that runs named by the config name.
    Errors: ValueError, FileNotFoundError before anything is written;
            FloatingPointError as runs/train/loop.py; KeyboardInterrupt once an
            interrupted run is saved.
    """
    given, config, folder = config, _config(config), folder_of(workdir)
    if data is not None:
        _check_data_fields(given)
    source = None
    if data is not None:
        source = arrays.as_source(data, low=config.data.low)
        for line in source.notes:
            print(line)
    _split_the_cpu(config.train.cpu_devices)
    run = setup.prepare(config, folder, source, trust)
    loop.run(run)
    _ = run.experiment.params  # those of this step, also if the run is resumed later
    return Model(run.experiment)


def _check_data_fields(config: ConfigDict | Mapping[str, Any]) -> None:
    """ValueError for fields of config.data that given examples do not heed."""
    values = {k: v for k, v in schema.flat(config).items() if k.startswith("data.")}
    ignored, heeded = [*values], TAKEN
    if isinstance(config, ConfigDict):  # a whole config: what it names is not read
        defaults, heeded = schema.flat(schema.get_config()), TAKEN + NAMING
        ignored = [field for field in values if values[field] != defaults.get(field)]
    ignored = [field for field in ignored if field.removeprefix("data.") not in heeded]
    require(
        not ignored,
        f"of config.data, {', '.join(ignored)} change nothing in examples given as "
        f"data=; only {', '.join(f'data.{name}' for name in TAKEN)} do. Leave them "
        "out, and give the examples as they shall be",
    )


def _config(config: Any) -> ConfigDict:
    """A whole config. Errors: ValueError for an unknown field, or another type."""
    if isinstance(config, ConfigDict):
        return config
    require(
        isinstance(config, Mapping),
        "config must be what get_config() of a file of configs/ gives, or {field: "
        f"value}}, got {config!r}",
    )
    whole, given = schema.get_config(), schema.flat(config)
    known = schema.flat(whole)
    for field in given:
        near = difflib.get_close_matches(field, known, 1, 0.0)[0]
        require(field in known, f"no field {field!r} in a config; the nearest: {near}")
    try:
        whole.update_from_flattened_dict(given)
    except TypeError as error:
        raise ValueError(f"config: {error}") from None
    chosen = [field for field in fields.CHOICES if field in given]
    if chosen:
        fields.settle(whole, given)
    return whole


def _split_the_cpu(devices: int) -> None:
    """Before JAX's first use of a device; after it, the devices are what they are."""
    try:
        jax.config.update("jax_num_cpu_devices", devices)
    except RuntimeError:
        if jax.default_backend() == "cpu" and jax.device_count() != devices:
            note(
                f"train.cpu_devices={devices} comes too late: JAX is in use and has "
                f"{jax.device_count()}, with which the run gives other last digits"
            )
