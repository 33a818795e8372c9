"""The training loop, the only one: what is logged, saved and drawn on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import jax
from tqdm.auto import tqdm

from jaxdiff.arrays import PyTree
from jaxdiff.data import record as records
from jaxdiff.data.batches import batch_at
from jaxdiff.lock import locked
from jaxdiff.plots import losses
from jaxdiff.runs import shared_pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.train.progress import Measure
from jaxdiff.runs.train.setup import Run, updates
from jaxdiff.runs.train.watch import Watch
from jaxdiff.stopping import Stopped, noted
from jaxdiff.train import checkpoint, faults, memory, parallel, snapshots
from jaxdiff.train.ema import primary
from jaxdiff.train.state import Span, TrainState, all_finite, num_params
from jaxdiff.train.validation import lines_of


def run(run: Run) -> TrainState:
    """Train to config.train.num_steps, from the newest checkpoint if there is one.

    Errors: FloatingPointError at the first interval whose loss or gradient is not
    finite, and before parameters that are not are saved; the last good checkpoint
    stays. Stopped, a KeyboardInterrupt, after a signal: the run is saved at the step
    that it has reached.
    """
    workdir, t = run.experiment.path, run.experiment.config.train
    # of several processes one writes and draws; checkpoints are written by all together
    writes = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(workdir))
        signals = stack.enter_context(noted())
        stack.enter_context(memory.enough("train.batch_size", t.batch_size))
        if writes:
            files.save_config(workdir, run.experiment.config)
        checkpoints = Checkpoints(run)
        stack.callback(checkpoints.close)
        start = state = checkpoints.restore(run.init())
        if writes and not int(start.step):  # an older run that resumes has none
            records.save(workdir, run.record)
        watch = Watch(run, int(start.step), writes)
        stack.callback(watch.close)
        watch.begin(num_params(start.params))
        _make_up(run, start, watch)
        try:
            for state, span in _steps(run, start, watch, checkpoints):
                signals.arm()
                if _agreed(signals.signum, span, t.log_every):
                    watch.keep()
                    checkpoints.save(state)
                    break
        except FloatingPointError as error:
            cure = _cure(run, watch.unseen)
            raise FloatingPointError(f"{error}; {checkpoints.kept()}. {cure}") from None
    if signals.signum:
        text = f"stopped at step {int(state.step)}; the same command resumes"
        tqdm.write(text)
        raise Stopped(signals.signum, text)
    watch.finish()
    return state


def _cure(run: Run, steps: Iterable[int]) -> str:
    """Of a loss that was not finite in one of these steps: of the data first."""
    config, source = run.experiment.config, run.experiment.source
    for step in steps:
        size, seed = config.train.batch_size, config.seed
        batch = batch_at(source, step - 1, batch_size=size, seed=seed)
        fault = faults.in_words(batch, source.num_classes)
        if fault:
            return f"In step {step} {fault}: mend the data"
    return "A lower learning rate (train.lr) or train.clip_norm may cure it"


def _steps(
    run: Run, start: TrainState, watch: Watch, checkpoints: Checkpoints
) -> Iterator[tuple[TrainState, Span]]:
    """Each call of the step, and then what is due: a line, a checkpoint, a picture."""
    workdir, t = run.experiment.path, run.experiment.config.train
    for state, metrics in updates(run, start):
        span = watch.add(metrics)
        measures = _due(run, span)
        if measures and watch.writes:
            watch.flush(partial(_measured, measures, primary(state.ema)))
            if run.measure in measures:
                save_curves(workdir)
        if span.due(t.log_every):
            watch.flush()
            checkpoints.check()
        if span.crosses(t.snapshot_every):
            checkpoints.save_snapshot(state)
        if span.due(t.checkpoint_every):
            watch.flush()  # what is saved has been seen to be finite
            checkpoints.save(state)
        if watch.writes and span.due(t.sample_every):
            _draw(run, watch, state, span.last)
            watch.restart()
        yield state, span


def _due(run: Run, span: Span) -> list[Measure]:
    """What is measured now, beside the training loss."""
    t = run.experiment.config.train
    every = t.validate_every or t.log_every
    measures = (run.validate, every), (run.measure, t.evaluate_every)
    return [m for m, steps in measures if m and span.due(steps)]


def _measured(measures: list[Measure], params: PyTree) -> dict[str, float]:
    return {name: v for measure in measures for name, v in measure(params).items()}


def _make_up(run: Run, start: TrainState, watch: Watch) -> None:
    """Draw what is due at the step that the run resumes from, where a stop prevented
    it: the checkpoint is written before.
    """
    t, step = run.experiment.config.train, int(start.step)
    span = Span(step - t.steps_per_call, step, t.num_steps)
    due = step > 0 and watch.writes and span.due(t.sample_every)
    if due and not _preview(run, step).exists():
        _draw(run, watch, start, step)


def _draw(run: Run, watch: Watch, state: TrainState, step: int) -> None:
    save_curves(run.experiment.path)
    path = _preview(run, step)  # the last file: where it is, all are
    try:
        run.preview(primary(state.ema), path)
        watch.show(step, path)
    except FloatingPointError as error:  # of the samples: training continues
        tqdm.write(f"no {path.name}: {error}")


def _preview(run: Run, step: int) -> Path:
    return run.experiment.path / "samples" / f"{step:08d}.png"


def _agreed(signum: int, span: Span, log_every: int) -> bool:
    """Whether to stop. Several processes stop at one step, and compare only when
    they log: each must take part in every step.
    """
    if jax.process_count() == 1:
        return bool(signum)
    return span.crosses(log_every) and parallel.any_process(bool(signum))


class Checkpoints:
    """The checkpoints of a run, and snapshots of its averages where it takes any."""

    def __init__(self, run: Run) -> None:
        self._workdir, t = run.experiment.path, run.experiment.config.train
        self._takes_snapshots = bool(t.ema_widths)
        self._manager = checkpoint.open_manager(
            self._workdir / files.CHECKPOINTS,
            keep_last=t.keep_last,
            keep_every=t.keep_every,
            writes=True,
        )
        self._snapshots: checkpoint.Manager | None = None
        self._saved: int | None = None

    def restore(self, first: TrainState) -> TrainState:
        """The state of the newest whole checkpoint, or `first`, on all devices.

        Checkpoints and snapshots after it are out of the way: they are made again.
        """
        restored = checkpoint.restore(self._manager, first)
        state = parallel.replicate(restored or first, jax.devices())
        step = int(state.step)
        if restored is not None:
            self._saved = step
            tqdm.write(f"resuming {self._workdir} at step {step}")
            checkpoint.drop_after(self._manager, step)
        if self._takes_snapshots:
            self._snapshots = snapshots.open_snapshots(self._workdir, step)
        return state

    def save(self, state: TrainState) -> None:
        """Once a step. Errors: FloatingPointError for a state that is not finite."""
        step = int(state.step)
        if self._saved != step:
            if not all_finite((state.params, state.ema)):
                raise FloatingPointError(
                    f"the parameters are not finite after step {step}"
                )
            checkpoint.save(self._manager, state)
            self._saved = step

    def check(self) -> None:
        """Errors: NoRoom, at the latest when the log is written."""
        checkpoint.check_written(self._manager)

    def kept(self) -> str:
        """In words, for an error."""
        if self._saved is None:
            return "there was no checkpoint yet"
        return f"the checkpoint of step {self._saved} is kept"

    def save_snapshot(self, state: TrainState) -> None:
        if self._snapshots:
            snapshots.save(self._snapshots, state)

    def close(self) -> None:
        """Waits until all is written, also where the snapshots cannot be."""
        try:
            if self._snapshots:
                checkpoint.close(self._snapshots)
        finally:
            checkpoint.close(self._manager)


def save_curves(workdir: Path) -> None:
    """loss.png, and progress.png if anything was measured, from metrics.jsonl."""
    rows = files.read_metrics(workdir)
    if not rows:  # a picture before the first line of the log
        return
    losses.save_losses(workdir / "loss.png", {"": lines_of(rows)})
    if shared_pictures.measured(rows):
        shared_pictures.save_progress(workdir / "progress.png", rows)
