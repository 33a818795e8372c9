"""Losses over optimiser steps: of one run, or of several in one panel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure

# name -> (steps i[n], values f[n])
Lines = Mapping[str, tuple[np.ndarray, ...]]
TRAINING, VALIDATION = "training", "validation"
TERMS = ("reconstruction", "KL to N(0, I)")


@styles.drawn
def save_losses(
    path: Path,
    runs: Mapping[str, Lines],
    *,
    name: str = "loss",
    epochs: Sequence[tuple[int, float]] = (),
) -> None:
    """Draw the training loss, and dashed the validation loss with its best step marked.

    The other lines of a single run, its validation loss by noise or the TERMS of its
    loss, are thin in a second panel. Axes are logarithmic where losses span decades.

    Args: runs: their Lines, which hold TRAINING.  name: what the loss is.
          epochs: of a single run, their last steps and mean losses.
    """
    others = {k: v for k, v in _first(runs).items() if k not in (TRAINING, VALIDATION)}
    panels = 2 if others and len(runs) == 1 else 1
    across = styles.across(panels, 3.0, 2)
    width, down = styles.width(7.0 if panels == 1 else 11.0), panels // across
    figure = styles.figure(width, down * max(0.62 * width / across, 2.0))
    axes = [*figure.subplots(down, across, squeeze=False).flat]
    axis, *more = axes
    validated = any(VALIDATION in lines for lines in runs.values())
    for label, style in styles.of_lines([*runs]).items():
        colour, lines = {"color": style["color"]}, runs[label]
        best = ""
        if VALIDATION in lines:
            best = _validation(axis, *lines[VALIDATION], **colour)
        text = f"{label}, {best}" if label and best else label or TRAINING
        _line(axis, *lines[TRAINING], label=text, **colour)
        if best and not label:
            dashed: Any = {"linestyle": "dashed", "marker": "*", **colour}
            axis.plot([], [], label=f"{VALIDATION}, {best}", **dashed)
    if epochs:
        style = {"color": "black", "marker": "D", "markersize": 5, "zorder": 3}
        points = zip(*epochs, strict=True)
        axis.plot(*points, linestyle="none", label="mean of an epoch", **style)
    axis.set(xlabel="optimiser step", ylabel=f"{name} (lower is better)")
    if len(runs) == 1:
        values = _first(runs)[TRAINING][1]
        text = f"training loss, mean since the last point: last {values[-1]:.4g}"
        axis.set_title(f"{text}, lowest {min(values):.4g}")
    if validated and len(runs) > 1:
        axis.plot([], [], color="black", linestyle="dashed", label=VALIDATION)
    _scale(
        axis,
        [
            lines[k]
            for lines in runs.values()
            for k in (TRAINING, VALIDATION)
            if k in lines
        ],
    )
    for axis in more:
        # ranges of noise in their order, and so in colours that have one
        colours = mpl.colormaps["plasma"](np.linspace(0.0, 0.85, len(others)))
        for (label, line), colour in zip(others.items(), colours, strict=True):
            _line(axis, *line, label=label, color=colour)
        by_term = {*TERMS} <= {*others}
        axis.set_title("terms of the loss, nats" if by_term else "validation by noise")
        axis.set(xlabel="optimiser step")
        _scale(axis, [*others.values()])
    if validated or epochs or len(runs) > 1:
        styles.legend_of(figure, axes)
    save_figure(path, figure)


def _first(runs: Mapping[str, Lines]) -> Lines:
    return next(iter(runs.values()))


def _validation(axis: Any, steps: Any, values: Any, **colour: Any) -> str:
    """Draw it with a star at its best step. Returns: that in words."""
    _line(axis, steps, values, linestyle="dashed", **colour)
    i = int(np.argmin(values))
    axis.plot(steps[i], values[i], "*", markersize=9, zorder=3, **colour)
    return f"best {values[i]:.4g} at step {steps[i]:,}"


def _line(axis: Any, steps: Any, values: Any, **style: Any) -> None:
    marker = {"marker": "o"} if len(steps) < 20 else {}
    axis.plot(steps, values, **marker, **style)


def _scale(axis: Any, lines: list[Any]) -> None:
    styles.scale(axis.yaxis, np.concatenate([values for _, values in lines]))
    axis.grid(which="both")
