"""A run in the format of another project."""

import importlib
import math
from pathlib import Path
from typing import Any

from jaxdiff import build, choices, interop, schema
from jaxdiff.arrays import require
from jaxdiff.files import whole_folder
from jaxdiff.interop.trained import Trained


def export(run: Any, out: Path, spec: str) -> None:
    """Write a trained Experiment to the folder `out`.

    spec: the format, a name of jaxdiff.interop whose file has a `write`, with options.
    Errors: ValueError and OSError before anything is written, also for a run that the
            format cannot express.
    """
    write, stored = writer(spec), trained(run)
    with whole_folder(out) as part:
        write(part, stored)


def writer(spec: str) -> Any:
    """The `write` of a format, with the options of the spec. Errors: ValueError."""
    known = ", ".join(n for n in choices.members(interop) if hasattr(_file(n), "write"))
    require(spec, f"give --format, the one to write the run in: {known}")
    name, fields = choices.parse(interop, spec)
    module = importlib.import_module(choices.pick(interop, name).__module__)
    require(
        hasattr(module, "write"),
        f"a run cannot be written as {name}; --format takes {known}",
    )
    given = {"out": "--to", "run": "--from"}
    return choices.choose(module, choices.respec(module, "write", **fields), given)


def _file(name: str) -> Any:
    return importlib.import_module(f"{interop.__name__}.{name}")


def trained(run: Any) -> Trained:
    """What a format needs of an Experiment, and of its first stage."""
    config, source = run.config, run.source
    labels, null = 0, False
    if config.task == "diffusion":
        labels = build.num_labels(config, source)
        null = labels > 0 and config.diffusion.label_dropout > 0
    rows = [row for row in run.log if "loss" in row][-1:]
    return Trained(
        config.to_dict(),
        schema.flat(config),
        source.shape,
        labels + null,
        run.params,
        run.step,
        {k: v for row in rows for k, v in row.items() if _is_figure(k, v)},
        trained(run.autoencoder) if config.data.name == "latents" else None,
    )


def _is_figure(name: str, value: Any) -> bool:
    return name != "step" and isinstance(value, float) and math.isfinite(value)
