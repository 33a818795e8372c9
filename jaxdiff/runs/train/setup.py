"""A training run: checked and built before anything is written, and its steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxdiff import build, choices, fields, ranges, rng
from jaxdiff.arrays import PyTree, require
from jaxdiff.data import holdout
from jaxdiff.data import record as records
from jaxdiff.data.batches import batch_at, batches, permutation
from jaxdiff.data.record import Record
from jaxdiff.data.source import Batch, Source, map_arrays
from jaxdiff.notes import note
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.train import preview, sizes
from jaxdiff.runs.train.progress import Measure, make_measure
from jaxdiff.tasks.task import Task
from jaxdiff.train import lr_schedules, memory, optim, parallel, timing, trackers
from jaxdiff.train.state import TrainState, init_state
from jaxdiff.train.step import Context, Step, make_train_step
from jaxdiff.train.trackers import Start
from jaxdiff.train.validation import PAIRS, Validate, make_validate
from jaxdiff.trust import foreign

# Fields of config.train that steps_per_call divides.
EVERY = (
    *("log_every", "sample_every", "checkpoint_every"),
    *("snapshot_every", "evaluate_every", "validate_every"),
)


class Run(NamedTuple):
    """A checked experiment: everything is built, nothing has been written.

    preview: (averaged parameters, path of a PNG) -> None, draws what suits the task
    measure, validate: averaged parameters -> values for the log; None where it is off
    step:    (state, batch, key) -> (state, metrics) over all devices: PmapStep
    init:    () -> the state before the first step
    lr:      step -> learning rate, for the log
    record:  of the data, as the run stores it
    trackers: of config.train.trackers
    """

    experiment: Experiment
    preview: Callable[[PyTree, Path], None]
    measure: Measure | None
    step: Callable
    init: Callable[[], TrainState]
    lr: Callable
    record: Record
    validate: Validate | None
    trackers: Sequence[Start]


def prepare(
    config: ConfigDict,
    workdir: Path | None,
    source: Source | None = None,
    trust: bool = False,
) -> Run:
    """Build and check everything, write nothing.

    workdir: where the run will be, or is and resumes; None where none is to be written.
    source: what to train on, where it is not all of config.data.
    trust: of runs that the config names; what it names itself is trusted.
    Errors: ValueError, FileNotFoundError.
    """
    stored = None
    if workdir:
        there = files.holds_run(workdir)
        stored = files.load_config(workdir, config) if there else None
        config = files.recall(workdir, config)
        files.check_same(workdir, config)
    config = sizes.choose(config, lambda c: source or Experiment(c, trust=trust).source)
    ranges.check(config)
    unused = fields.check(config, stored=stored)
    if unused:
        note(f"nothing takes {', '.join(unused)}")
    _check_steps(config.train)
    experiment, record = _with_data(config, workdir, source, trust)
    fields.check(config, experiment.source, stored)
    shape = experiment.source.shape
    memory.check_fits("train.batch_size", config.train.batch_size, shape)
    experiment = experiment.measured()
    config, task, t = experiment.config, experiment.task, config.train
    tx, lr = build.make_optimizer(config)
    before = build.make_optimizer(stored or config)[1]
    done = experiment.log[-1]["step"] if experiment.log else 0
    for text in lr_schedules.oddities(lr, t.num_steps, before, done):
        note(f"train.lr={t.lr}: {text}")
    step = make_step(config, task, parallel.AXIS, t.accumulate)
    jax.eval_shape(task.init, jax.random.key(0))  # a network that does not fit
    if source is not None or foreign(config):  # of a large network it takes a second
        _trace(task, experiment.source, foreign(config))
    run = Run(
        experiment,
        choices.pick(preview, task.kind)(experiment),
        make_measure(experiment),
        parallel.PmapStep(step, jax.devices(), task.frozen),
        _make_init(config, task, tx),
        lr,
        record,
        _make_validate(experiment),
        [_make_tracker(spec) for spec in t.trackers],
    )
    feed_from(run, t.num_steps)  # of no batches: checks its arguments
    return run


def _trace(task: Task, source: Source, parts: Mapping[str, str]) -> None:
    """Trace the loss of two examples, by their shapes alone: parts that do not fit.

    parts:  of somebody's own, {field: name}, which the error names.
    Errors: ValueError; of jaxdiff's own parts whatever they raise.
    """
    example = source.example or source.load(np.arange(1))
    batch = {"x": np.empty((1, *source.shape), np.float32), **example}
    batch = map_arrays(lambda a: np.repeat(a, 2, axis=0), batch)

    def loss(key, batch):
        params, steps = task.init(key), jnp.zeros((), jnp.int32)
        keys = rng.batch_keys(key, jnp.arange(2), 2)
        return task.loss(params, keys, batch, Context(steps, params, task.frozen))

    try:
        jax.eval_shape(loss, jax.random.key(0), batch)
    except Exception as error:
        text, kind = (str(error).splitlines() or [""])[0], type(error).__name__
        names = {f"{field} ": f"{field}={name} " for field, name in parts.items()}
        named = [field for field in names if field in text]
        used = [k for k in names if k.startswith(("model.", "diffusion."))]
        if isinstance(error, ValueError) and named:
            text = text.replace(named[0], names[named[0]])
        elif used:
            text = f"{'or '.join(names[k] for k in used)}does not fit: {kind}: {text}"
        else:
            raise
        raise ValueError(text) from error


def _make_tracker(spec: str) -> Start:
    # no name with dots: trust.py does not look for code in this field
    known = choices.members(trackers)
    name = choices.name_of(spec)
    why = f"train.trackers: no {name!r}{choices.hint(name, known)}"
    require(name in known, why)
    return choices.choose(trackers, spec)()


def _with_data(config, workdir, source, trust) -> tuple[Experiment, Record]:
    """The Experiment, whose data are read and compared, and their Record."""
    record = records.load(workdir)
    unread = record is not None and not record.size
    # the data of a converted run are read now, for their size and the names of classes
    plain = Experiment(config, trust=trust)
    data = plain.source if unread and source is None else source
    experiment = Experiment(config, workdir, data, trust)
    # a run that resumes reads and compares its data here
    if record and record.held:
        rows, images = experiment.source, experiment.images
        holdout.check_same(rows, images, config.data.holdout, record.total)
    size, batch = len(experiment.source), config.train.batch_size
    if config.data.holdout and size < batch:
        note(
            f"data.holdout={config.data.holdout} leaves {size} examples, fewer than "
            f"train.batch_size={batch}: every batch has some of them more than once"
        )
    if record is None or unread:
        given = source is not None
        record = records.of(experiment.source, config.data.path, given=given)
    return experiment, record


def _check_steps(t: ConfigDict) -> None:
    """ValueError for fields of config.train that do not fit together."""
    require(
        bool(t.ema_widths) == (t.snapshot_every >= 1),
        f"train.ema_widths={t.ema_widths} and train.snapshot_every={t.snapshot_every} "
        "belong together: (0.05, 0.1), for example, and an eighth of train.num_steps",
    )
    for name in EVERY:
        require(
            t[name] % t.steps_per_call == 0,
            f"train.{name}={t[name]} must be a multiple of train.steps_per_call="
            f"{t.steps_per_call}",
        )
    parallel.check_divides(t.batch_size, t.accumulate, jax.device_count())


def _make_validate(run: Experiment) -> Validate | None:
    """Of what is held out; None if nothing is."""
    source, task, t = run.source, run.task, run.config.train
    if not source.holdout:
        return None
    others = source.holdout()
    order = permutation(0, 0, len(others))[np.arange(PAIRS) % len(others)]
    loss, size = task.validation or task.loss, t.batch_size // t.accumulate
    return make_validate(loss, others.load, order, size, task.frozen)


def make_step(
    config: ConfigDict, task: Task, axis: str | None, accumulate: int = 1
) -> Step:
    """The step of a config, over the devices of a pmap axis, or on one device."""
    return make_train_step(
        task.loss,
        build.make_optimizer(config)[0],
        build.make_ema(config),
        axis=axis,
        accumulate=accumulate,
    )


def _make_init(
    config: ConfigDict, task: Task, tx: optim.Optimizer
) -> Callable[[], TrainState]:
    # it runs once: unoptimised, it compiles five times faster
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def init() -> TrainState:
        # a key of its own, apart from those of the steps (0, 1, ...)
        key = jax.random.fold_in(jax.random.key(config.seed), 2**31)
        return init_state(task.init(key), tx, powers=len(config.train.ema_widths))

    return init


def feed_from(run: Run, start: int) -> Iterator[Batch]:
    """The batches of the steps after `start`, f[k, b, ...]."""
    config, t = run.experiment.config, run.experiment.config.train
    return batches(
        run.experiment.source,
        batch_size=t.batch_size,
        seed=config.seed,
        start=start,
        stop=max(start, t.num_steps),
        stack=t.steps_per_call,
        flip=config.data.flip,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def updates(
    run: Run, state: TrainState
) -> Iterator[tuple[TrainState, dict[str, jax.Array]]]:
    """The state after each call of the step, and the metrics f32[k] of its k steps.

    A call donates the buffers of the state before it: only the last one can be used.
    """
    key = jax.random.key(run.experiment.config.seed)
    for batch in feed_from(run, int(state.step)):
        batch = parallel.shard(batch, jax.local_device_count(), axis=1)
        state, metrics = run.step(state, batch, key)
        yield state, metrics


def fit(run: Run) -> TrainState:
    """Train from the start and keep the result to itself: no log, no files.

    The parameters are those of `run` with the same config, bit for bit; nobody looks
    whether they are finite.
    """
    state = parallel.replicate(run.init(), jax.devices())
    for after, _ in updates(run, state):
        state = after
    return jax.block_until_ready(state)


def first_batch(run: Run, steps: int = 1) -> Batch:
    """The batch of the first call of that many steps, f[k, b, ...]."""
    config, source = run.experiment.config, run.experiment.source
    size = config.train.batch_size
    return batch_at(source, np.arange(steps), batch_size=size, seed=config.seed)


def step_flops(run: Run) -> float:
    """XLA's count of one step of the whole batch, on one device."""
    args = jax.eval_shape(run.init), first_batch(run), jax.random.key(0)
    config, task = run.experiment.config, run.experiment.task
    step = make_step(config, task, axis=None)
    return timing.count_flops(step, *args, task.frozen)
