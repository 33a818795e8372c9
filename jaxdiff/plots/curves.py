"""Curves: the loss of a run, and a schedule's signal and noise."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def save_loss(path: Path, steps: Sequence[int], losses: Sequence[float]) -> None:
    """The training loss, on a logarithmic axis where it is positive."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axis = figure.subplots()
    axis.plot(steps, losses, marker="o" if len(steps) < 20 else None)
    if min(losses) > 0:
        axis.set_yscale("log")
    axis.set(xlabel="step", ylabel="training loss (mean since the last line)")
    axis.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


def save_schedules(path: Path, t: np.ndarray, values: dict[str, np.ndarray]) -> None:
    """alpha, sigma and log-SNR over t of some schedules; values[name] f[3, n]."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    titles = ("signal: alpha(t)", "noise: sigma(t)", "log-SNR: 2 log(alpha / sigma)")
    for i, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        for name, rows in values.items():
            axis.plot(t, np.where(np.isfinite(rows[i]), rows[i], np.nan), label=name)
        axis.set(title=title, xlabel="t")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
