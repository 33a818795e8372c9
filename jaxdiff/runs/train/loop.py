"""The training loop, the only one: what is logged, saved and drawn on the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from jaxdiff.plots import curves
from jaxdiff.runs import shards, shared_pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.lock import locked
from jaxdiff.runs.train.setup import Run, updates
from jaxdiff.runs.train.stopping import Stopped, noted
from jaxdiff.train import checkpoint, parallel, snapshots
from jaxdiff.train.ema import primary
from jaxdiff.train.state import TrainState, all_finite

# Metrics of the steps since the last line of the log, of a run that was stopped.
INTERVAL = "interval.npz"


def run(run: Run) -> TrainState:
    """Train to config.train.num_steps, from the newest checkpoint if there is one.

    Errors: FloatingPointError at the first interval whose loss or gradient is not
    finite, and before parameters that are not are saved; the last good checkpoint
    stays. Stopped, a KeyboardInterrupt, after a signal: the run is saved at the step
    that it has reached.
    """
    workdir = run.experiment.path
    # of several processes one writes and draws; checkpoints are written by all together
    writes = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(workdir))
        signals = stack.enter_context(noted())
        if writes:
            files.save_config(workdir, run.experiment.config)
        checkpoints = Checkpoints(run)
        stack.callback(checkpoints.close)
        start = state = checkpoints.restore(run.init())
        watch = Watch(run, int(start.step), writes)
        stack.callback(watch.close)
        try:
            for state, span in _steps(run, start, watch, checkpoints):
                signals.arm()
                if _agreed(signals.signum, span, run.experiment.config.train.log_every):
                    watch.keep()
                    checkpoints.save(state)
                    break
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error}; {checkpoints.kept()}. A lower learning rate (train.lr) or "
                "train.clip_norm may cure it"
            ) from None
    if signals.signum:
        text = f"stopped at step {int(state.step)}; the same command resumes"
        tqdm.write(text)
        raise Stopped(signals.signum, text)
    return state


def _steps(
    run: Run, start: TrainState, watch: Watch, checkpoints: Checkpoints
) -> Iterator[tuple[TrainState, Span]]:
    """Each call of the step, and then what is due: a line, a checkpoint, a picture."""
    workdir, t = run.experiment.path, run.experiment.config.train
    for state, metrics in updates(run, start):
        span = watch.add(metrics)
        if run.measure and watch.writes and span.due(t.evaluate_every):
            watch.flush(partial(run.measure, primary(state.ema)))
            save_curves(workdir)
        if span.due(t.log_every):
            watch.flush()
        if span.crosses(t.snapshot_every):
            checkpoints.save_snapshot(state)
        if span.due(t.checkpoint_every):
            watch.flush()  # what is saved has been seen to be finite
            checkpoints.save(state)
        if watch.writes and span.due(t.sample_every):
            path = workdir / "samples" / f"{span.last:08d}.png"
            try:
                run.preview(primary(state.ema), path)
            except FloatingPointError as error:  # of the samples: training goes on
                tqdm.write(f"no {path.name}: {error}")
            save_curves(workdir)
            watch.restart()
        yield state, span


def _agreed(signum: int, span: Span, log_every: int) -> bool:
    """Whether to stop. Several processes stop at one step, and ask one another only
    when they log: each must take part in every step.
    """
    if jax.process_count() == 1:
        return bool(signum)
    return span.crosses(log_every) and parallel.any_process(bool(signum))


class Span(NamedTuple):
    """The steps of one call, before < step <= last, of a run that has `end`."""

    before: int
    last: int
    end: int

    def crosses(self, every: int) -> bool:
        """Whether one of them is a multiple of `every`; of 0 none is."""
        return every > 0 and self.last // every > self.before // every

    def due(self, every: int) -> bool:
        """The same, and always at the end of the run."""
        return self.crosses(every) or self.last >= self.end


class Checkpoints:
    """The checkpoints of a run, and snapshots of its averages where it takes any."""

    def __init__(self, run: Run) -> None:
        self._workdir, t = run.experiment.path, run.experiment.config.train
        self._takes_snapshots = bool(t.ema_widths)
        self._manager = checkpoint.open_manager(
            self._workdir / files.CHECKPOINTS,
            keep_last=t.keep_last,
            keep_every=t.keep_every,
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

    def kept(self) -> str:
        """In words, for an error."""
        if self._saved is None:
            return "there was no checkpoint yet"
        return f"the checkpoint of step {self._saved} is kept"

    def save_snapshot(self, state: TrainState) -> None:
        if self._snapshots:
            snapshots.save(self._snapshots, state)

    def close(self) -> None:
        """Waits until all is written."""
        if self._snapshots:
            self._snapshots.close()
        self._manager.close()


class Watch:
    """Gathers the metrics of steps, and at intervals checks, logs and shows them."""

    def __init__(self, run: Run, step: int, writes: bool) -> None:
        t, workdir = run.experiment.config.train, run.experiment.path
        self.writes, self._run, self._interval = writes, run, workdir / INTERVAL
        self._log = files.Log(workdir, step) if writes else None
        self._bar = tqdm(
            total=t.num_steps,
            initial=step,
            desc="training",
            unit="step",
            disable=None if writes else True,
        )
        self._end, self._last = t.num_steps, step
        self._pending = self._kept(step)
        self._flushed = step - sum(len(row["loss"]) for row in self._pending)
        self._start: float | None = None  # after the first call, which compiles
        self._timed = 0  # steps since then

    def add(self, metrics: dict[str, Any]) -> Span:
        """Note the metrics f32[k] of a call, still on the device; returns its steps."""
        k = len(metrics["loss"])
        if self._start is None:
            jax.block_until_ready(metrics)
            self.restart()
        else:
            self._timed += k
        self._pending.append(metrics)
        before, self._last = self._last, self._last + k
        self._bar.update(k)
        return Span(before, self._last, self._end)

    def flush(self, measure: Callable[[], dict[str, float]] = dict) -> None:
        """Write one line for the steps since the last, and of what is measured now.

        Errors: FloatingPointError for a loss or gradient that is not finite.
        """
        if not self._pending:
            return
        values = self._values()
        self._check_finite(values)
        means = {k: float(np.mean(v, dtype=np.float64)) for k, v in values.items()}
        seconds = time.perf_counter() - (self._start or 0.0)
        examples = self._timed * self._run.experiment.config.train.batch_size
        means["lr"] = float(self._run.lr(self._last - 1))
        means["examples_per_second"] = examples / seconds if examples else 0.0
        if self._log:
            self._log.write(self._last, means | measure())
        self._bar.set_postfix(loss=f"{means['loss']:.4f}", refresh=False)
        self._pending, self._flushed = [], self._last
        self.restart()

    def keep(self) -> None:
        """Write what `flush` would average, for the run that resumes at this step.

        Errors: FloatingPointError, as `flush`.
        """
        if self._pending and self.writes:
            values = self._values()
            self._check_finite(values)
            shards.write(self._interval, {"step": self._last, **values})

    def _kept(self, step: int) -> list[dict[str, Any]]:
        """What was kept at that step; of a run stopped elsewhere, nothing."""
        if not self._interval.is_file():
            return []
        with np.load(self._interval) as file:
            values = dict(file)
        return [values] if values.pop("step") == step else []

    def _values(self) -> dict[str, np.ndarray]:
        rows = jax.device_get(self._pending)
        return {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}

    def _check_finite(self, values: dict[str, np.ndarray]) -> None:
        finite = np.isfinite(values["loss"]) & np.isfinite(values["grad_norm"])
        if not finite.all():
            first = self._flushed + 1
            what = "gradient" if np.isfinite(values["loss"]).all() else "loss"
            raise FloatingPointError(
                f"the {what} is not finite at step {first + int(np.argmin(finite))} "
                f"(steps {first} to {self._last})"
            )

    def restart(self) -> None:
        """Time from now on: what went before was not training."""
        self._start, self._timed = time.perf_counter(), 0

    def close(self) -> None:
        self._bar.close()
        if self._log:
            self._log.close()


def save_curves(workdir: Path) -> None:
    """loss.png, and progress.png if anything was measured, from metrics.jsonl."""
    rows = files.read_metrics(workdir)
    steps, losses = ([row[k] for row in rows] for k in ("step", "loss"))
    curves.save_loss(workdir / "loss.png", steps, losses)
    if shared_pictures.measured(rows):
        shared_pictures.save_progress(workdir / "progress.png", rows)
