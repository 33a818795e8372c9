"""Configs of stored runs: older ones in today's fields, and how two are compared."""

import difflib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxdiff.schema import flat, get_config

# The value of a field that a stored run lacks, where it is not today's default. Whoever
# changes a default also adds the old value here. Checksums leave out fields with these
# values, so that a field added later changes no checksum.
OLDER: dict[str, Any] = {"data.rules": 1, "sampler.grid": "uniform"}

# Old names of fields in stored runs -> today's names; old values as "field=value".
RENAMED = {
    "train.judge": "train.features",
    "diffusion.scaling=own": "diffusion.scaling=unscaled",
    "model.remat=False": "model.remat=none",
    "model.remat=True": "model.remat=block",
}

# Where data are on a machine, which is not part of the experiment.
PLACES = ("data.path", "data.data_dir")


def upgrade(stored: Mapping[str, Any]) -> ConfigDict:
    """A stored config, given as nested mappings, in today's fields.

    A missing field takes the value that means what was before: OLDER, or the default. A
    field in RENAMED is read under its new name.
    Errors: ValueError for a field that the schema does not have, or a value of another
            type.
    """
    config = get_config()
    known, fields = flat(config), dict(OLDER)
    for old, value in flat(stored).items():
        field = RENAMED.get(old, old)
        if field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"there is no field {field} (stored: {value!r}).{meant} Read the run "
                "with the version of jaxdiff that wrote it, or take the field out"
            )
        renamed = RENAMED.get(f"{field}={value}")
        fields[field] = renamed.partition("=")[2] if renamed else value
    for field, value in fields.items():
        like = type(known[field])
        fits = like is bool or not isinstance(value, bool)  # True is an int to Python
        try:
            config.update_from_flattened_dict({field: value})
        except TypeError:
            fits = False
        if not fits:
            text = f"{field} must be of type {like.__name__}, got {value!r}"
            raise ValueError(text)
    return config


def identity(config: ConfigDict, *blocks: str) -> dict[str, Any]:
    """What distinguishes these blocks from those of other experiments, {field: value}.

    Left out are PLACES, and fields with the value that a run without them gets. A new
    field, or data moved to another folder, therefore changes nothing.
    """
    older = flat(get_config()) | OLDER
    return {
        field: value
        for field, value in flat(config).items()
        if field.partition(".")[0] in blocks
        and field not in PLACES
        and value != older[field]
    }
