"""What is seen of a training run: its log, its bar or its lines."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm.auto import tqdm

from jaxdiff.files import read_arrays
from jaxdiff.notes import in_words
from jaxdiff.runs import shards
from jaxdiff.runs import workdir as files
from jaxdiff.runs.train.setup import Run
from jaxdiff.schema import flat, get_config
from jaxdiff.train import epochs
from jaxdiff.train.log import Log
from jaxdiff.train.state import Span

# Metrics of the steps since the last line of the log, of a run that was stopped.
INTERVAL = "interval.npz"


class Watch:
    """Gathers the metrics of steps, and at intervals checks, logs and shows them."""

    def __init__(self, run: Run, step: int, writes: bool) -> None:
        t, workdir = run.experiment.config.train, run.experiment.path
        self.writes, self._run, self._interval = writes, run, workdir / INTERVAL
        shown = run.trackers, _in_groups(run.experiment.config)
        self._log = Log(workdir / files.METRICS, step, *shown) if writes else None
        self._bar = tqdm(
            total=t.num_steps,
            initial=step,
            desc="training",
            unit="step",
            disable=None if writes else True,
        )
        rows = files.read_metrics(workdir) if writes else []
        self._before = rows[-1].get("seconds", 0.0) if rows else 0.0
        self._began = time.perf_counter()
        self._end, self._last, self._batch = t.num_steps, step, t.batch_size
        self._pending = self._kept(step)
        self._flushed = step - sum(len(row["loss"]) for row in self._pending)
        self._start: float | None = None  # after the first call, which compiles
        self._timed = 0  # steps since then

    def begin(self, parameters: int) -> None:
        """Print what is trained, where and on what."""
        if self._last >= self._end:
            return
        devices = jax.devices()
        self._print(
            f"{self._run.experiment.workdir}: {parameters:,} parameters on "
            f"{len(devices)} x {devices[0].device_kind}, steps {self._last:,} to "
            f"{self._end:,}"
        )

    def finish(self) -> None:
        """Print the loss by epoch, that the run is finished, and how to continue it."""
        rows = files.read_metrics(self._run.experiment.path) if self.writes else []
        for text in epochs.in_words(epochs.means(rows, self._batch)):
            self._print(text)
        spent = in_words(time.perf_counter() - self._began)
        self._print(
            f"finished at step {self._last:,} after {spent}; more train.num_steps "
            "continue it"
        )

    def _print(self, text: str) -> None:
        if self.writes:
            tqdm.write(text)
            sys.stdout.flush()  # of a batch job it is a file

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
        examples = self._timed * self._batch
        n = len(self._run.experiment.source)
        losses, sizes = values["loss"], {"examples": n, "batch": self._batch}
        means |= epochs.new_part(losses, self._last, **sizes)
        means["lr"] = float(self._run.lr(self._last - 1))
        means["epoch"] = self._last * self._batch / n
        means["seconds"] = self._before + time.perf_counter() - self._began
        means["examples_per_second"] = rate = examples / seconds if examples else 0.0
        if self._log:
            means |= measure()
            self._log.write(self._last, means)
        names = {"loss": "loss", "validation": "validation_loss"}
        shown = {k: f"{means[v]:.4f}" for k, v in names.items() if v in means}
        self._bar.set_postfix(shown, refresh=False)
        if not sys.stderr.isatty():  # where there is no bar
            losses = ", ".join(f"{name} {value}" for name, value in shown.items())
            text = f"step {self._last:,} of {self._end:,}: {losses}"
            if rate:
                left = (self._end - self._last) * self._batch / rate
                text += f", {rate:,.0f} examples/s, {in_words(left)} left"
            self._print(text)
        self._pending, self._flushed = [], self._last
        self.restart()

    @property
    def unseen(self) -> range:
        """The steps whose metrics were not found to be finite yet."""
        return range(self._flushed + 1, self._last + 1)

    def show(self, step: int, path: Path) -> None:
        """Samples, to the trackers."""
        if self._log:
            self._log.image(step, path)

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
        values = read_arrays(self._interval, "step", "loss", "grad_norm")
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


def _in_groups(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """The fields of a config, first those that differ from the defaults."""
    fields, defaults = flat(config), flat(get_config())
    set_here = {k: v for k, v in fields.items() if v != defaults[k]}
    others = {k: v for k, v in fields.items() if k not in set_here}
    return {"this run": set_here, "defaults": others}
