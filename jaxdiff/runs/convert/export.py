"""A run in the format of another project."""

import importlib
import math
from pathlib import Path
from typing import Any

from jaxdiff import build, choices, interop, schema
from jaxdiff.arrays import require
from jaxdiff.interop.trained import Trained
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import Experiment, open_run


def is_run(path: Path) -> bool:
    """Whether a folder is a run's workdir: other projects have a config.json too."""
    return files.holds_run(path) and (path / files.CHECKPOINTS).is_dir()


def export(workdir: Path, out: Path, spec: str, *, force: bool = False) -> None:
    """Write the run of a workdir to the folder `out`.

    spec: the format, a name of jaxdiff.interop whose file has a `write`, with options.
    Errors: ValueError and OSError before anything is written: for a run that the format
            cannot express, and for an `out` that is not empty, unless `force`.
    """
    known = ", ".join(n for n in choices.members(interop) if hasattr(_file(n), "write"))
    require(spec, f"{workdir} is a run: give --format, of {known}")
    files.check_out(out, force)
    run = open_run(workdir)
    maker = writer(spec)
    maker(out, trained(run))


def writer(spec: str) -> Any:
    """The `write` of a format, with the options of the spec."""
    name, fields = choices.parse(interop, spec)
    module = importlib.import_module(choices.pick(interop, name).__module__)
    require(hasattr(module, "write"), f"--format={spec}: it is read, and not written")
    given = {"out": "--to", "run": "--from"}
    return choices.choose(module, choices.respec(module, "write", **fields), given)


def _file(name: str) -> Any:
    return importlib.import_module(f"{interop.__name__}.{name}")


def trained(run: Experiment) -> Trained:
    """What a format needs of a run, and of its first stage."""
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
