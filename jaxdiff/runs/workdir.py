"""What a run leaves behind, and how it is found again.

config.json  metrics.jsonl  loss.png  samples/STEP.png  checkpoints/  tensorboard/
and where they are asked for snapshots/ of averages, progress.png and references/
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tensorboardX import SummaryWriter

from jaxdiff.arrays import require

CONFIG = "config.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"


def load_config(workdir: Path) -> ConfigDict:
    """The config of a run. Errors: FileNotFoundError for what is no run's workdir."""
    path = workdir / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"{workdir} is not a run's workdir: it has no {CONFIG}; give the --workdir "
            "that launch.train was given"
        )
    try:
        return ConfigDict(_tuples(json.loads(path.read_text())))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None


def check_out(out: Path, force: bool) -> None:
    """ValueError for an --out that holds something already, unless `force`."""
    require(
        force or not (out.exists() and any(out.iterdir())),
        f"--out {out} is not empty; choose another folder, or --force to overwrite",
    )


def check_schema(workdir: Path, config: ConfigDict, schema: ConfigDict) -> None:
    """ValueError unless a stored config has the fields of today's schema."""
    old, new = (set(_flat(c.to_dict())) for c in (config, schema))
    parts = [
        f"{word} {', '.join(sorted(names))}"
        for word, names in (("lacks", new - old), ("has unknown", old - new))
        if names
    ]
    if parts:
        raise ValueError(
            f"{workdir / CONFIG} was written by another version of jaxdiff: it "
            f"{' and '.join(parts)}. Edit it to the fields of configs/base.py, or "
            "train the run again"
        )


def save_config(workdir: Path, config: ConfigDict) -> None:
    """Write config.json whole or not at all."""
    workdir.mkdir(parents=True, exist_ok=True)
    part = workdir / (CONFIG + ".part")
    part.write_text(json.dumps(config.to_dict(), indent=2, default=list) + "\n")
    os.replace(part, workdir / CONFIG)


def check_same(workdir: Path, config: ConfigDict) -> None:
    """ValueError listing every field that differs from the stored run's.

    Only more steps are allowed: they continue the run. How a run is logged, kept and
    previewed does not change its numbers, so those fields may differ too.
    """
    if not (workdir / CONFIG).exists():
        if workdir.is_file():
            raise ValueError(f"{workdir} is a file; give a folder as --workdir")
        if workdir.is_dir() and any(workdir.iterdir()):
            raise ValueError(
                f"{workdir} is not empty and holds no run; give a new --workdir"
            )
        return
    free = (
        "sampler",
        "train.log_every",
        "train.sample_every",
        "train.checkpoint_every",
        "train.keep_last",
        "train.keep_every",
        "train.num_preview",
        "train.snapshot_every",
        "train.evaluate_every",
        "train.num_evaluate",
        "train.evaluate_steps",
        "train.judge",
    )
    stored = load_config(workdir)
    if config.train.num_steps > stored.train.num_steps:
        free += ("train.num_steps",)
    found = differing(stored, config, but=free)
    if found:
        raise ValueError(
            f"{workdir} holds a run of another config: {'; '.join(found)}. "
            "Use another --workdir, or the stored values (more train.num_steps is fine)"
        )


def differing(
    stored: ConfigDict,
    config: ConfigDict,
    *,
    within: Sequence[str] = ("",),
    but: Sequence[str] = (),
) -> list[str]:
    """ "field=value (stored: value)" of each field that differs.

    within, but: fields or blocks to look at ("" is all), and to leave out.
    """

    def covers(name, field):
        return not name or field == name or field.startswith(name + ".")

    return [
        f"{field}={new!r} (stored: {old!r})"
        for field, (old, new) in changes(stored, config).items()
        if any(covers(name, field) for name in within)
        and not any(covers(name, field) for name in but)
    ]


def changes(old: ConfigDict, new: ConfigDict) -> dict[str, tuple[Any, Any]]:
    """{field: (old value, new value)} of each that differs; None where it lacks."""
    was, now = (_flat(c.to_dict()) for c in (old, new))
    return {
        field: (was.get(field), now.get(field))
        for field in sorted({*was, *now})
        if _plain(was.get(field)) != _plain(now.get(field))
    }


def recall(workdir: Path, config: ConfigDict) -> ConfigDict:
    """The config, with what the stored run has measured where it asks to measure."""
    if not (workdir / CONFIG).exists():
        return config
    stored, config = load_config(workdir), config.copy_and_resolve_references()
    for names in (("mean", "std"), ("checksum",)):  # what is measured together
        if not any(config.data[name] for name in names):
            # a run of another version may lack a field: `check_same` says so
            config.data.update({n: stored.data[n] for n in names if n in stored.data})
    return config


class Log:
    """metrics.jsonl and TensorBoard events, cut back to the step a run resumes from."""

    def __init__(self, workdir: Path, step: int) -> None:
        self._path = workdir / METRICS
        rows = [row for row in read_metrics(workdir) if row["step"] <= step]
        part = self._path.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        os.replace(part, self._path)
        self._events = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=step + 1, flush_secs=10
        )

    def write(self, step: int, values: dict[str, float]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        self._events.close()


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; a last line cut short by a kill is left out."""
    path, rows = workdir / METRICS, []
    if path.exists():
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                rows.append(json.loads(line))
    return rows


def _flat(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _tuples(tree):
    if isinstance(tree, dict):
        return {k: _tuples(v) for k, v in tree.items()}
    return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree
