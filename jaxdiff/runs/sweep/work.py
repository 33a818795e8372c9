"""What a sweep does in processes of their own: check, train, evaluate."""

import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxdiff import build, schema
from jaxdiff.arrays import require
from jaxdiff.data.source import Source
from jaxdiff.files import read_json
from jaxdiff.lock import locked
from jaxdiff.notes import note
from jaxdiff.runs import workdir as files
from jaxdiff.runs.evaluate import run as evaluation
from jaxdiff.runs.evaluate.features import load_extractor
from jaxdiff.runs.evaluate.metrics import choose
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.train import loop, setup
from jaxdiff.train.checkpoint import fingerprint
from jaxdiff.train.state import num_params

# Seconds to wait for a process that a kill of the sweep has left behind: it saves.
PATIENCE = 60.0
# Of the metric bpd: as launch.evaluate's flags by default.
BPD = {
    "num_bpd": 1000,
    "estimates": ["continuous", "discrete"],
    "steps": 100,
    "cleanest": 0.0,
}
CURE = "delete it, and give the same command again"


class Evaluation(NamedTuple):
    """How samples are evaluated: see launch.evaluate."""

    metrics: tuple[str, ...]
    features: str
    num: int
    num_real: int

    def flags(self) -> list[str]:
        """As launch.evaluate takes them."""
        flags = [f"--num={self.num}"]
        flags += [f"--metrics={','.join(self.metrics)}"] if self.metrics else []
        flags += [f"--features={self.features}"] if self.features else []
        return flags + ([f"--num_real={self.num_real}"] if self.num_real else [])


def check(
    configs: dict[str, tuple[ConfigDict, ConfigDict]],
    evaluation: Evaluation | None,
    trust: bool,
) -> dict[str, int]:
    """Build each (config of a case, of its run), and write nothing.

    Returns: the number of parameters of each.
    Errors:  ValueError that names the case.
    """
    sources: dict[str, Source] = {}
    counts = {}
    for name, (config, trained) in configs.items():
        try:
            data = repr(sorted(schema.flat(trained.data).items()))
            run = setup.prepare(trained, None, sources.get(data), trust)
            sources.setdefault(data, run.experiment.source)
            experiment = Experiment(config, data=sources[data], trust=trust)
            if experiment.task.kind == "denoiser":
                experiment.sampler(with_base=bool(config.sampler.base))
            _check_evaluation(experiment, evaluation, trust)
        except (ValueError, OSError) as error:
            raise ValueError(f"{name}: {error}") from None
        shapes = jax.eval_shape(run.experiment.task.init, jax.random.key(0))
        counts[name] = num_params(shapes)
    return counts


def _check_evaluation(experiment, evaluation, trust):
    if evaluation is None:
        return
    kind = experiment.task.kind
    require(kind == "denoiser", f"--metrics are of samples, and this trains a {kind}")
    path, images = evaluation.features, experiment.images
    extractor = load_extractor(Path(path), images, trust=trust) if path else None
    labelled = build.num_labels(experiment.config, experiment.source) > 0
    choose([*evaluation.metrics], images, extractor, labelled=labelled, given=False)


def train(config: ConfigDict, workdir: Path, trust: bool) -> None:
    """As launch.train does. Errors: as of prepare and run there."""
    with locked(workdir, patience=PATIENCE):
        pass
    loop.run(setup.prepare(config, workdir, trust=trust))


def evaluate(
    config: ConfigDict, workdir: Path, out: Path, how: Evaluation, trust: bool
) -> None:
    """As launch.evaluate does, into OUT/evaluation.json."""
    _drop_stale(out, workdir)
    request = evaluation.prepare(
        open_run(workdir, config, trust=trust),
        metrics=[*how.metrics],
        features=Path(how.features) if how.features else None,
        images=None,
        num=how.num,
        num_real=how.num_real,
        seed=0,
        out=out,
        force=False,
        **BPD,
    )
    fields = [
        f"--config.{field}={new}"
        for field, (_, new) in files.changes(
            files.load_config(workdir, trust), config
        ).items()
    ]
    flags = [f"--workdir={workdir}", f"--out={out}", *how.flags(), *fields]
    evaluation.run(request, shlex.join(["python", "-m", "launch.evaluate", *flags]))


def evaluated(out: Path, workdir: Path) -> dict[str, float]:
    """The figures of a finished evaluation and their errors, {} for none, and for one
    of another run that was in this workdir before.

    Errors: ValueError that names the file, for what is no evaluation.
    """
    path = out / evaluation.RESULT
    if not (path.is_file() and files.holds_run(workdir)):
        return {}
    stored, figures = read_json(path, CURE), {}
    if is_stale(stored, workdir):
        return {}
    try:
        for row in stored["rows"]:
            name, value, error = row["metric"], row["value"], row["error"]
            figures |= {} if value is None else {name: float(value)}
            figures |= {} if error is None else {f"{name}_error": float(error)}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no evaluation ({error!r}): {CURE}") from None
    return figures


def _drop_stale(out: Path, workdir: Path) -> None:
    """Delete what was made of another run that was in this workdir before."""
    result = out / evaluation.RESULT
    if result.is_file() and is_stale(read_json(result, CURE), workdir):
        result.unlink()
    for path in out.glob("*/*.json"):
        cure = f"delete {path.parent}, and give the same command again"
        if is_stale(read_json(path, cure), workdir):
            note(f"{path.parent} is of another training of {workdir}: made anew")
            shutil.rmtree(path.parent)


def is_stale(record: dict[str, Any], workdir: Path) -> bool:
    """Whether a record of an evaluation or of samples is of another training, of this
    run or of one that its sampler names.
    """
    inner = record.get("bpd")  # of an evaluation without samples
    record = inner if isinstance(inner, dict) and "step" not in record else record
    made_of, step = record.get("checkpoint"), record.get("step", -1)
    now = made_of and fingerprint(workdir / files.CHECKPOINTS, step)
    if now and now != made_of:
        return True
    others = [v for name, v in record.items() if name.endswith("_run")]
    return any(is_stale(other, Path(other["workdir"])) for other in others)
