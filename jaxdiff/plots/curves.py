"""Curves: named lines, heat maps, grids of times, and schedules."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize

from jaxdiff.plots import styles, texts
from jaxdiff.plots.saving import save_figure

# x and y of a line, f[n] each, and where y has an error, that.
Line = tuple[np.ndarray, ...]

# What is drawn of a schedule, and what its axis is called.
PARTS = {
    "alpha": "signal rate alpha(t)",
    "sigma": "noise rate sigma(t)",
    "share": "share of the variance, sum 1",
    "log_snr": "log-SNR: 2 log(alpha / sigma), nats",
}


@styles.drawn
def save_lines(
    path: Path,
    named: dict[str, Line],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
) -> None:
    """Draw named lines over a legend, with error bars where they have errors.

    named: name -> (x f[n], y f[n]) or (x, y, error of y).  log: on logarithmic axes
    """
    figure = styles.figure(7.0, 4.4)
    axis = figure.subplots()
    for name, style in styles.of_lines([*named]).items():
        x, y, *error = named[name]
        bars = error[0] if error else None
        axis.errorbar(x, y, bars, marker="o", label=name, **style)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        axis.loglog()
        styles.write_numbers(axis.xaxis)
        styles.write_numbers(axis.yaxis)
    axis.grid(which="both")
    styles.legend_of(figure, [axis])
    save_figure(path, figure)


@styles.drawn
def save_panels(
    path: Path,
    panels: dict[str, dict[str, Line]],
    *,
    xlabels: Sequence[str],
    ylabel: str,
) -> None:
    """Draw {title: {name: (y f[n], x f[n], ...)}} on the same logarithmic axes.

    There is a panel over each x, called by its label, one below the other.

    A point over three times the median of the lines' first values would hide the rest:
    its line leaves the panel, and the legend below gives the highest value.
    """
    across = styles.across(len(panels), 1.5, 4)
    down, width = -(-len(panels) // across), styles.width(2.6 * across)
    most, each = max(map(len, panels.values())), len(xlabels)
    high, below = 0.8 * width / across, 0.02 * texts.small() * most
    figure = styles.figure(width, down * (each * (high + 0.4) + below))
    ratios = [*[high + 0.4] * each, below] * down
    grid = figure.subplots(len(ratios), across, squeeze=False, height_ratios=ratios)
    # f[panel, x or legend]
    places = grid.reshape(down, each + 1, across).swapaxes(1, 2).reshape(-1, each + 1)
    lines = [line for some in panels.values() for line in some.values()]
    top = 3 * float(np.median([y[0] for y, *_ in lines]))
    low, first = 0.9 * min(float(y.min()) for y, *_ in lines), places[0]
    for i, ((title, some), (*axes, place)) in enumerate(
        zip(panels.items(), places, strict=False)
    ):
        for j, axis in enumerate(axes):
            _panel(axis, some, j + 1, top)
            axis.sharex(first[j])
            axis.sharey(first[0])
            axis.loglog()
            axis.set(xlabel=xlabels[j], ylabel="" if i % across else ylabel)
            axis.tick_params(axis="y", which="both", labelleft=i % across == 0)
            axis.grid(which="both")
        axes[0].set_title(title)
        place.legend(*axes[0].get_legend_handles_labels(), loc="upper center")
    for axis in (*places[len(panels) :].flat, *places[:, -1]):
        axis.axis("off")
    first[0].set(ylim=(low, top))
    styles.write_numbers(first[0].yaxis)
    for axis in first[:-1]:
        styles.write_numbers(axis.xaxis)
    save_figure(path, figure)


def _panel(axis, some, which, top):
    """Lines over one x; a line over another of the same values is thinner."""
    widths = np.linspace(2.0, 1.0, len(some))
    named = styles.of_lines([*some]).items()
    for (name, style), wide in zip(named, widths, strict=True):
        y, x = some[name][0], some[name][which]
        far = f" (to {y.max():.3g})" if y.max() > top else ""
        size = {"linewidth": wide, "markersize": 2 + wide}
        axis.plot(x, y, marker="o", label=name + far, **style, **size)


@styles.drawn
def save_heat(
    path: Path,
    values: np.ndarray,
    *,
    bar: str,
    rows: Sequence[str],
    columns: Sequence[str],
    colours: np.ndarray | None = None,
    limit: float = 0.0,
    title: str = "",
) -> None:
    """Draw values f[r, c] in cells over a colour bar.

    Args: bar: what the colours are: the values themselves, on a logarithmic scale, or
          `colours` f[r, c], from -limit to limit.
    """
    small = texts.small()
    names = max(texts.width_of(name, small) for name in rows)
    high = 1.6 + max(0.24, 1.8 * small / 72) * len(rows)
    width = styles.width(0.8 + names + 0.75 * len(columns))
    figure = styles.figure(width, high)
    axis = figure.subplots()
    if colours is None:
        shown, how = values, {"cmap": "cividis_r", "norm": LogNorm()}
    else:
        shown, how = colours, {"cmap": "RdBu", "norm": Normalize(-limit, limit)}
    image = axis.imshow(shown, aspect="auto", **how)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            r, g, b, _ = image.cmap(image.norm(shown[i, j]))
            dark = 0.299 * r + 0.587 * g + 0.114 * b < 0.5
            style = {"fontsize": small, "color": "white" if dark else "black"}
            axis.text(j, i, f"{value:.3g}", ha="center", va="center", **style)
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)
    axis.set_title(title)
    place = {"location": "bottom", "fraction": 0.05, "aspect": 30, "pad": 0.02}
    colour_bar = figure.colorbar(image, ax=axis, label=bar, **place)
    if colours is None:
        styles.write_numbers(colour_bar.ax.xaxis)
    save_figure(path, figure)


@styles.drawn
def save_grids(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw where each grid's times are, with its error; one panel per number of steps.

    Args: rows: dicts with grid, steps, error and times.
    """
    steps = list(dict.fromkeys(row["steps"] for row in rows))
    line = 2.2 * texts.small() / 72
    figure = styles.figure(styles.width(8.0), line * len(rows) + 0.8 * len(steps))
    for axis, n in zip(
        figure.subplots(len(steps), squeeze=False)[:, 0], steps, strict=True
    ):
        some = sorted((r for r in rows if r["steps"] == n), key=lambda r: -r["error"])
        for y, row in enumerate(some):
            colour = styles.COLOURS[1 if row["grid"] == "fitted" else 0]
            axis.plot(row["times"], np.full(n + 1, y), "o-", color=colour)
        axis.set_yticks(
            range(len(some)), [f"{r['grid']}: {r['error']:.4f}" for r in some]
        )
        title = f"{n} steps; error against the end of the path (lower is better)"
        axis.set(title=title, xlim=(-0.01, 1.01))
        axis.set_xlabel("time t (0 is data, 1 is noise)")
        axis.grid(axis="x")
    save_figure(path, figure)


@styles.drawn
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
    width = styles.width(8.0)
    figure = styles.figure(width, 0.75 * width + 1.0)
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
        axis.grid()
    for rows in named.values():
        axes["share"].plot(t, 1 - rows["share"], "--", **wide)
        axes["share"].set_title(_shares(rows))
    axes["sigma"].set_ylim(0, 1.05 * top)
    axes["log_snr"].set_ylim(-21, 21)  # it is infinite where an end is exact
    for part in ("share", "log_snr"):
        axes[part].set_xlabel("time t (0 is data, 1 is noise)")
    styles.legend_of(figure, [axes["alpha"]])
    save_figure(path, figure)


def _shares(rows):
    """What the shares of signal and noise are called."""
    if np.allclose(rows["alpha"] ** 2 + rows["sigma"] ** 2, 1.0, atol=1e-3):
        return "alpha_bar = alpha^2, 1 - alpha_bar (dashed)"
    return "alpha^2 / (alpha^2 + sigma^2), the rest (dashed)"


def _finite(values):
    return np.where(np.isfinite(values), values, np.nan)
