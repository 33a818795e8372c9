"""The training run: the only training loop, for every system."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from jaxdiff import build
from jaxdiff.arrays import require
from jaxdiff.data.batches import batches
from jaxdiff.data.source import Batch, Source
from jaxdiff.plots import curves
from jaxdiff.runs import snapshots
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import make_source
from jaxdiff.runs.train import preview, progress
from jaxdiff.tasks.task import Task
from jaxdiff.train import checkpoint, parallel, step
from jaxdiff.train.ema import primary
from jaxdiff.train.state import TrainState, init_state, num_params


class Run(NamedTuple):
    """A checked experiment: everything is built, nothing has been written."""

    config: ConfigDict
    workdir: Path
    source: Source
    task: Task
    preview: preview.Preview
    measure: progress.Measure | None
    step: Callable
    init: Callable
    lr: Callable


def prepare(config: ConfigDict, workdir: Path, source: Source | None = None) -> Run:
    """Build and check everything, write nothing.

    source: what to train on, where it is not all of config.data.

    Errors: ValueError, FileNotFoundError.
    """
    config = files.recall(workdir, config)
    files.check_same(workdir, config)
    t = config.train
    for name in (
        "batch_size",
        "num_steps",
        "steps_per_call",
        "accumulate",
        "log_every",
        "checkpoint_every",
        "keep_last",
        "num_preview",
    ):
        require(t[name] >= 1, f"train.{name} must be at least 1, got {t[name]}")
    require(
        bool(t.ema_widths) == (t.snapshot_every >= 1),
        f"train.ema_widths={t.ema_widths} and train.snapshot_every={t.snapshot_every} "
        "belong together: (0.05, 0.1), say, and an eighth of train.num_steps",
    )
    for name in (
        "log_every",
        "sample_every",
        "checkpoint_every",
        "snapshot_every",
        "evaluate_every",
    ):
        require(
            t[name] % t.steps_per_call == 0,
            f"train.{name}={t[name]} must be a multiple of train.steps_per_call="
            f"{t.steps_per_call}",
        )
    parallel.check_divides(t.batch_size, t.accumulate, jax.device_count())
    source = source or make_source(config)
    config = build.measured(config, source)
    task = build.make_task(config, source)
    tx, lr = build.make_optimizer(config)
    train_step = step.make_train_step(
        task.loss,
        tx,
        build.make_ema(config),
        axis=parallel.AXIS,
        accumulate=t.accumulate,
    )

    # it runs once: unoptimised, it compiles five times faster
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def init() -> TrainState:
        # a key of its own, apart from those of the steps (0, 1, ...)
        key = jax.random.fold_in(jax.random.key(config.seed), 2**31)
        return init_state(task.init(key), tx, powers=len(t.ema_widths))

    jax.eval_shape(task.init, jax.random.key(0))  # a network that does not fit
    drawn = preview.make_preview(config, source, task)
    measure = progress.make_measure(config, source, task, workdir)
    pmapped = parallel.pmap_step(train_step, jax.devices())
    checked = Run(config, workdir, source, task, drawn, measure, pmapped, init, lr)
    feed_from(checked, t.num_steps)  # of no batches: checks its arguments
    return checked


def feed_from(run: Run, start: int) -> Iterator[Batch]:
    """The batches of the steps from `start` on, f[k, b, ...]."""
    t = run.config.train
    return batches(
        run.source,
        batch_size=t.batch_size,
        seed=run.config.seed,
        start=start,
        stop=max(start, t.num_steps),
        stack=t.steps_per_call,
        flip=run.config.data.flip,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def fit(run: Run) -> TrainState:
    """Train from the start and keep the result to itself: no log, no files.

    The parameters are those of `run` with the same config, bit for bit; nobody looks
    whether they are finite.
    """
    devices, key = jax.devices(), jax.random.key(run.config.seed)
    state = parallel.replicate(run.init(), devices)
    for batch in feed_from(run, 0):
        state, _ = run.step(state, parallel.shard(batch, len(devices), axis=1), key)
    return jax.block_until_ready(state)


def run(run: Run) -> TrainState:
    """Train to config.train.num_steps, from the newest checkpoint if there is one.

    Errors: FloatingPointError at the first interval whose loss or gradient is not
    finite; the last good checkpoint stays.
    """
    config, t = run.config, run.config.train
    # of several processes one writes and draws; checkpoints are written by all together
    writes = jax.process_index() == 0
    if writes:
        files.save_config(run.workdir, config)
    manager = checkpoint.open_manager(
        run.workdir / files.CHECKPOINTS, keep_last=t.keep_last, keep_every=t.keep_every
    )
    fresh = run.init()
    restored = checkpoint.restore(manager, fresh)
    state = parallel.replicate(restored or fresh, jax.devices())
    start = int(state.step)
    if restored is not None:
        tqdm.write(f"resuming {run.workdir} at step {start}")
        checkpoint.drop_after(manager, start)
    album = snapshots.open_album(run.workdir, start) if t.ema_widths else None
    log = files.Log(run.workdir, start) if writes else None
    key = jax.random.key(config.seed)
    watch = Watch(run, log, start)
    bar = tqdm(
        total=t.num_steps,
        initial=start,
        desc="training",
        unit="step",
        disable=None if writes else True,
    )
    before = at = start
    saved = start if restored is not None else None

    def due(every):  # in the steps of this call, or it is the last
        return at // every > before // every or at >= t.num_steps

    try:
        for batch in feed_from(run, start):
            batch = parallel.shard(batch, jax.local_device_count(), axis=1)
            state, metrics = run.step(state, batch, key)
            before, at = at, watch.add(metrics)
            if run.measure and writes and due(t.evaluate_every):
                watch.flush(partial(run.measure, primary(state.ema)))
                save_curves(run.workdir)
            if due(t.log_every):
                bar.set_postfix(loss=f"{watch.flush():.4f}", refresh=False)
            bar.update(at - before)
            if album and at // t.snapshot_every > before // t.snapshot_every:
                snapshots.save(album, state)
            if due(t.checkpoint_every):
                watch.flush()  # what is saved has been seen to be finite
                checkpoint.save(manager, state)
                saved = at
            if writes and due(t.sample_every or t.num_steps):
                path = run.workdir / "samples" / f"{at:08d}.png"
                run.preview(primary(state.ema), path)
                save_curves(run.workdir)
                watch.restart()
    except KeyboardInterrupt:
        watch.flush()
        at = int(state.step)
        if saved != at:
            checkpoint.save(manager, state)
        tqdm.write(f"stopped at step {at}; the same command resumes")
    finally:
        bar.close()
        if log:
            log.close()
        if album:
            album.close()
        manager.close()
    return state


class Watch:
    """Gathers the metrics of steps, and logs and checks them at intervals."""

    def __init__(self, run: Run, log: files.Log | None, step: int) -> None:
        self._run, self._log = run, log
        self._at = self._since = step
        self._pending: list[dict[str, Any]] = []
        self._loss = float("nan")
        self._start: float | None = None  # after the first call, which compiles

    def add(self, metrics: dict[str, Any]) -> int:
        """Note the metrics of a call, still on the device; returns the step reached."""
        if self._start is None:
            jax.block_until_ready(metrics)
            self._start, self._since_timed = time.perf_counter(), 0
        else:
            self._since_timed += len(metrics["loss"])
        self._pending.append(metrics)
        self._at += len(metrics["loss"])
        return self._at

    def flush(self, measure: Callable[[], dict[str, float]] = dict) -> float:
        """Write one line for the steps since the last, and of what is measured now;
        returns their mean loss.
        """
        if not self._pending:
            return self._loss
        rows = jax.device_get(self._pending)
        values = {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}
        finite = np.isfinite(values["loss"]) & np.isfinite(values["grad_norm"])
        if not finite.all():
            bad = self._since + 1 + int(np.argmin(finite))
            what = "gradient" if np.isfinite(values["loss"]).all() else "loss"
            raise FloatingPointError(
                f"the {what} is not finite at step {bad} (steps {self._since + 1} to "
                f"{self._at}); the last good checkpoint is kept. A lower learning rate "
                "(train.lr) or train.clip_norm may cure it"
            )
        means = {k: float(np.mean(v, dtype=np.float64)) for k, v in values.items()}
        seconds = time.perf_counter() - (self._start or 0.0)
        examples = self._since_timed * self._run.config.train.batch_size
        means["lr"] = float(self._run.lr(self._at - 1))
        means["examples_per_second"] = examples / seconds if examples else 0.0
        if self._log:
            self._log.write(self._at, means | measure())
        self._pending, self._since, self._loss = [], self._at, means["loss"]
        self.restart()
        return self._loss

    def restart(self) -> None:
        """Time from now on: what went before was not training."""
        self._start, self._since_timed = time.perf_counter(), 0


def save_curves(workdir: Path) -> None:
    """loss.png, and progress.png if anything was measured, from metrics.jsonl."""
    rows = files.read_metrics(workdir)
    steps, losses = ([row[k] for row in rows] for k in ("step", "loss"))
    curves.save_loss(workdir / "loss.png", steps, losses)
    if progress.measured(rows):
        progress.save_progress(workdir / "progress.png", rows)


def parameter_table(run: Run) -> str:
    """Path, shape and number of every parameter, without allocating them."""
    shapes = jax.eval_shape(run.task.init, jax.random.key(0))
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    rows = [(jax.tree_util.keystr(p, simple=True, separator="/"), a) for p, a in leaves]
    width = max(len(name) for name, _ in rows)
    lines = [f"{n:<{width}}  {a.shape!s:<20} {a.size:>12,}" for n, a in rows]
    return "\n".join([*lines, f"{num_params(shapes):,} parameters"])
