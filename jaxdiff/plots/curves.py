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
    named: dict[str, np.ndarray],
    others: dict[str, np.ndarray],
) -> None:
    """Draw alpha, sigma and log-SNR over t, f[3, n] each; `others` are thin lines.

    The axes fit `named`. A line of `others` with far more noise (EDM's reaches 80)
    leaves the panel, and the legend gives its end.
    """
    figure = styles.figure(12.0, 4.4)
    axes = figure.subplots(1, 3)
    top = max(1.0, *(float(rows[1].max()) for rows in named.values()))
    thin = styles.of_lines([*others])
    for i, axis in enumerate(axes):
        for name, rows in named.items():
            wide = {"linewidth": 5.0, "alpha": 0.4} if others else {"linewidth": 2.0}
            axis.plot(t, _finite(rows[i]), label=name, color="black", **wide)
        for name, rows in others.items():
            far = f" (to {rows[1].max():.0f})" if rows[1].max() > 1.1 * top else ""
            style = {"linewidth": 1.2, **thin[name]}
            axis.plot(t, _finite(rows[i]), label=name + far, **style)
        axis.set(xlabel="time t (0 is data, 1 is noise)", xlim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0].set(title="signal", ylabel="alpha(t)", ylim=(0, 1.05))
    axes[1].set(title="noise", ylabel="sigma(t)", ylim=(0, 1.05 * top))
    axes[2].set(title="log-SNR", ylabel="2 log(alpha / sigma), nats")
    axes[2].set_ylim(-21, 21)  # it is infinite where an end is exact
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4
    )
    save_figure(path, figure)


def _finite(values):
    return np.where(np.isfinite(values), values, np.nan)
