"""What a run leaves behind, and how it is read again.

config.json  metrics.jsonl  loss.png  samples/STEP.png  checkpoints/  tensorboard/
and, if requested, snapshots/ of averages, progress.png and references/
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxdiff import fields, files, ranges, schema, upgrades
from jaxdiff import trust as trusts
from jaxdiff.arrays import require
from jaxdiff.lock import is_empty
from jaxdiff.train import log

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"

# Fields that have an effect only where some of x0 is known, and why they have none.
KNOWN = ("sampler.known", "sampler.resample")
NEEDS_KNOWN = "counts only with launch.sample --fix and launch.edit inpaint"


def holds_run(workdir: Path | None) -> bool:
    return bool(workdir) and (workdir / CONFIG).exists()


def load_config(workdir: Path, trust: bool | ConfigDict = False) -> ConfigDict:
    """The config of a run, in today's fields.

    trust:  whether it may name code outside jaxdiff; or a config that somebody gave,
            whose code it may name too (trust.py).
    Errors: FileNotFoundError for what is no run's workdir; ValueError that names the
            file, for a field or value that the schema does not have, and such code.
    """
    stored = read_config(workdir)
    with files.named(workdir / CONFIG):
        config = upgrades.upgrade(stored)
        ranges.check(config)
    trusts.check(config, str(workdir / CONFIG), trust)
    return config


def read_config(workdir: Path) -> dict[str, Any]:
    """config.json as the run wrote it, also an older one. Errors: as load_config's."""
    path = workdir / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"{workdir} is not a run's workdir: it has no {CONFIG}; give the --workdir "
            "that launch.train was given"
        )
    return files.read_json(path)


def made_by(workdir: Path, step: int) -> dict[str, Any]:
    """What a record of samples or figures has of their run: a run that is trained
    anew has another checkpoint.
    """
    from jaxdiff.train.checkpoint import fingerprint  # it imports JAX and orbax

    made_of = fingerprint(workdir / CHECKPOINTS, step)
    return {"workdir": str(workdir.resolve()), "step": step, "checkpoint": made_of}


def check_out(out: Path, force: bool) -> None:
    """ValueError for an --out that holds something already, unless `force`."""
    require(
        force or is_empty(out),
        f"--out {out} is not empty; choose another folder, or --force to overwrite",
    )


def save_config(workdir: Path, config: ConfigDict) -> None:
    """Write config.json whole or not at all.

    An equal one stays as it was written, in an older schema's fields
    too: checksums of older runs are of those.
    """
    if holds_run(workdir) and load_config(workdir, config) == config:
        return
    files.write_json(workdir / CONFIG, config.to_dict())


def check_new(workdir: Path, flag: str = "--workdir") -> None:
    """ValueError for a folder that holds anything already, and for a file.

    flag: that names the folder, for the message.
    """
    if workdir.is_file():
        raise ValueError(f"{workdir} is a file; give a folder as {flag}")
    holds = "holds a run" if holds_run(workdir) else "holds no run"
    if not is_empty(workdir):
        raise ValueError(f"{workdir} is not empty and {holds}; give a new {flag}")


def check_same(workdir: Path, config: ConfigDict, flag: str = "--workdir") -> None:
    """ValueError listing every field that differs from the stored run's.

    flag: that names the folder, for the message.

    Only more steps are allowed: they continue the run. How a run is logged, kept and
    previewed does not change its numbers, so those fields may differ too.
    """
    if not holds_run(workdir):
        check_new(workdir, flag)
        return
    names = (
        *("log_every", "sample_every", "checkpoint_every", "keep_last", "keep_every"),
        *("num_preview", "snapshot_every", "evaluate_every", "num_evaluate"),
        *("evaluate_steps", "features", "validate_every", "trackers"),
    )
    free = ("sampler", *(f"train.{name}" for name in names))
    stored = load_config(workdir, config)
    if config.train.num_steps > stored.train.num_steps:
        free += ("train.num_steps",)
    others = differing(stored, config, but=free)
    if others:
        raise ValueError(
            f"{workdir} holds a run of another config: {'; '.join(others)}. "
            f"Use another {flag}, or the stored values (more train.num_steps is fine)"
        )


def check_unchanged(workdir: Path, config: ConfigDict) -> None:
    """ValueError for a field that differs from the stored run's and cannot: all but the
    sampler's, where the data lie, and how the machine computes.
    """
    free = ("sampler", "train.cpu_devices", "model.dtype", "model.remat")
    others = differing(load_config(workdir, config), config, but=free)
    require(
        not others,
        f"{workdir} is trained and cannot have {'; '.join(others)}: leave it out, or "
        f"train another run. Only {', '.join((*free, *upgrades.PLACES))} can change",
    )


def check_used(
    workdir: Path, config: ConfigDict, unused: Sequence[str], why: str
) -> None:
    """ValueError for a field that differs from the stored run's and has no effect.

    unused: fields, or beginnings of their names.  why: they have none, after the name.
    """
    stored = load_config(workdir, True)  # of a run that was trusted when it was opened
    changed = [
        f"--config.{field}={new!r} {why}. Leave it out"
        for field, (_, new) in changes(stored, config).items()
        if field.startswith((*unused,))
    ]
    require(not changed, "".join(changed[:1]))


def differing(
    stored: ConfigDict,
    config: ConfigDict,
    *,
    within: Sequence[str] = ("",),
    but: Sequence[str] = (),
) -> list[str]:
    """ "field=value (stored: value)" of each field that makes another experiment.

    Where data lie does not (their checksum identifies them), nor do fields that
    nothing takes.
    within, but: fields or blocks to look at ("" is all), and to leave out.
    """

    def covers(name, field):
        return not name or field == name or field.startswith(name + ".")

    return [
        f"{field}={new!r} (stored: {old!r})"
        for field, (old, new) in changes(_settled(stored), _settled(config)).items()
        if any(covers(name, field) for name in within)
        and not any(covers(name, field) for name in (*but, *upgrades.PLACES))
        # older runs have no checksum, or one of another formula and so length
        and not (field == "data.checksum" and len(old) != len(new))
    ]


def changes(old: ConfigDict, new: ConfigDict) -> dict[str, tuple[Any, Any]]:
    """{field: (old value, new value)} of each that differs."""
    was, now = schema.flat(old), schema.flat(new)
    return {k: (was[k], now[k]) for k in sorted(now) if was[k] != now[k]}


def recall(workdir: Path, config: ConfigDict) -> ConfigDict:
    """The config, with what the stored run has measured, for fields that are empty,
    what it chose for those of config.auto, and the rules by which it read its data.
    """
    if not holds_run(workdir):
        return config
    stored = load_config(workdir, config)
    config = config.copy_and_resolve_references()
    for names in (("mean", "std"), ("checksum",)):  # what is measured together
        if not any(config.data[name] for name in names):
            config.data.update({name: stored.data[name] for name in names})
    config.data.rules = min(config.data.rules, stored.data.rules)
    chosen, known = schema.flat(stored), config.auto
    config.update_from_flattened_dict({k: chosen[k] for k in known if k in chosen})
    config.auto = stored.auto
    return config


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl. Errors: see train/log.py."""
    return log.read(workdir / METRICS)


def _settled(config):
    config = config.copy_and_resolve_references()
    fields.settle(config)
    return config
