"""Curves: losses, named lines, heat maps, grids of times, and schedules."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure

# A logarithmic axis over a smaller ratio than this has too few ticks to read.
DECADE = 10.0

# What is drawn of a schedule, and what its axis is called.
PARTS = {
    "alpha": "signal rate alpha(t)",
    "sigma": "noise rate sigma(t)",
    "share": "share of the variance, sum 1",
    "log_snr": "log-SNR: 2 log(alpha / sigma), nats",
}


def save_loss(
    path: Path,
    steps: Sequence[int],
    losses: Sequence[float],
    *,
    name: str = "training loss",
) -> None:
    """Draw losses over optimiser steps, on a logarithmic axis if they span decades.

    Args: steps: the last step of those that each loss is the mean of.
          name: what the loss is.
    """
    figure = styles.figure(7.0, 4.0)
    axis = figure.subplots()
    few = len(steps) < 20
    axis.plot(steps, losses, color=styles.COLOURS[0], marker="o" if few else None)
    if 0 < DECADE * min(losses) < max(losses):
        axis.set_yscale("log")
    axis.set_title(f"last: {losses[-1]:.4g}, lowest: {min(losses):.4g}", fontsize=10)
    axis.set(xlabel="optimiser step", ylabel=f"{name}, mean since the last point")
    axis.grid(alpha=0.3, which="both")
    save_figure(path, figure)


def save_lines(
    path: Path,
    named: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
) -> None:
    """Draw named lines, name -> (x f[n], y f[n]); with `log` on logarithmic axes."""
    figure = styles.figure(8.0, 5.0)
    axis = figure.subplots()
    for name, style in styles.of_lines([*named]).items():
        axis.plot(*named[name], marker="o", markersize=4, label=name, **style)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        axis.loglog()
    axis.grid(alpha=0.3, which="both")
    many = len(named) > 6
    (figure.legend(loc="outside right upper") if many else axis.legend())
    save_figure(path, figure)


def save_panels(
    path: Path,
    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
    *,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draw {title: {name: (x f[n], y f[n])}} side by side, on the same two log axes.

    A point over three times the median of the lines' first values would hide the rest:
    its line leaves the panel, and the legend gives the highest value.
    """
    figure = styles.figure(3.1 * len(panels), 3.6)
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    lines = [line for some in panels.values() for line in some.values()]
    top = 3 * float(np.median([y[0] for _, y in lines]))
    for axis, (title, some) in zip(axes, panels.items(), strict=True):
        for name, style in styles.of_lines([*some]).items():
            x, y = some[name]
            far = f" (to {y.max():.3g})" if y.max() > top else ""
            axis.plot(x, y, marker="o", ms=3, lw=1.2, label=name + far, **style)
        axis.loglog()
        axis.set(xlabel=xlabel)
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize=8)
    axes[0].set(ylabel=ylabel, ylim=(0.9 * min(float(y.min()) for _, y in lines), top))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].xaxis.set_minor_formatter(NullFormatter())
    save_figure(path, figure)


def save_heat(
    path: Path,
    values: np.ndarray,
    *,
    colours: np.ndarray,
    limit: float,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
) -> None:
    """Draw values f[r, c] in cells, coloured by `colours` from -limit to limit."""
    size = 1.5 + 0.9 * len(columns) + 0.08 * max(map(len, rows)), 1 + 0.3 * len(rows)
    figure = styles.figure(*size)
    axis = figure.subplots()
    axis.imshow(colours, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = abs(colours[i, j]) > 0.7 * limit
            style = {"fontsize": 9, "color": "white" if dark else "black"}
            axis.text(j, i, f"{value:.2f}", ha="center", va="center", **style)
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    axis.set_title(title, fontsize=10)
    save_figure(path, figure)


def save_grids(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw where each grid's times are, with its error; one panel per number of steps.

    Args: rows: dicts with grid, steps, error and times.
    """
    steps = list(dict.fromkeys(row["steps"] for row in rows))
    figure = styles.figure(9.0, 3.2 * len(steps))
    for axis, n in zip(
        figure.subplots(len(steps), squeeze=False)[:, 0], steps, strict=True
    ):
        some = sorted((r for r in rows if r["steps"] == n), key=lambda r: -r["error"])
        for y, row in enumerate(some):
            colour = styles.COLOURS[1 if row["grid"] == "fitted" else 0]
            axis.plot(row["times"], np.full(n + 1, y), "o-", color=colour, markersize=4)
        axis.set_yticks(
            range(len(some)), [f"{r['grid']}: {r['error']:.4f}" for r in some]
        )
        axis.set(
            title=f"{n} steps; error against the end of the path", xlim=(-0.01, 1.01)
        )
        axis.set_xlabel("time t (0 is data, 1 is noise)")
        axis.grid(alpha=0.3, axis="x")
    save_figure(path, figure)


def save_schedules(
    path: Path,
    t: np.ndarray,
    named: dict[str, dict[str, np.ndarray]],
    others: dict[str, dict[str, np.ndarray]],
) -> None:
    """Draw `alpha`, `sigma`, `share` and `log_snr` f[n] of schedules over t.

    share: the signal's, alpha^2 / (alpha^2 + sigma^2). Where a schedule preserves
    variance it is DDPM's alpha_bar = alpha^2, and the noise's share is 1 - alpha_bar.
    others: thin lines, for which the axes are not widened. One with far more noise
    (EDM's reaches 80) leaves the panel, and the legend gives its end.
    """
    figure = styles.figure(9.0, 7.2)
    axes = dict(zip(PARTS, figure.subplots(2, 2).flat, strict=True))
    top = max(1.0, *(float(rows["sigma"].max()) for rows in named.values()))
    wide = {"color": "black", "linewidth": 4.0 if others else 2.0}
    wide |= {"alpha": 0.5 if others else 1.0}
    thin = styles.of_lines([*others])
    for part, axis in axes.items():
        for name, rows in named.items():
            axis.plot(t, _finite(rows[part]), label=name, **wide)
        for name, rows in others.items():
            end = rows["sigma"].max()
            far = f" (sigma to {end:.0f})" if end > 1.1 * top else ""
            style = {"linewidth": 1.2, **thin[name]}
            axis.plot(t, _finite(rows[part]), label=name + far, **style)
        axis.set(ylabel=PARTS[part], xlim=(0, 1), ylim=(0, 1.05))
        axis.grid(alpha=0.3)
    for rows in named.values():
        axes["share"].plot(t, 1 - rows["share"], "--", **wide)
        axes["share"].set_title(_shares(rows), fontsize=10)
    axes["sigma"].set_ylim(0, 1.05 * top)
    axes["log_snr"].set_ylim(-21, 21)  # it is infinite where an end is exact
    for part in ("share", "log_snr"):
        axes[part].set_xlabel("time t (0 is data, 1 is noise)")
    handles = axes["alpha"].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=9)
    save_figure(path, figure)


def _shares(rows):
    """What the shares of signal and noise are called."""
    if np.allclose(rows["alpha"] ** 2 + rows["sigma"] ** 2, 1.0, atol=1e-3):
        return "alpha_bar = alpha^2, 1 - alpha_bar (dashed)"
    return "alpha^2 / (alpha^2 + sigma^2), the rest (dashed)"


def _finite(values):
    return np.where(np.isfinite(values), values, np.nan)
