"""The plane of latent codes: the images decoded over it, and walks through it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import patheffects
from matplotlib.colors import PowerNorm

from jaxdiff.plots import styles
from jaxdiff.plots.latents import move_apart
from jaxdiff.plots.pictures import shaded, tile
from jaxdiff.plots.saving import colours, save_figure


class Walks(NamedTuple):
    """Walks through codes.

    density: f[cells, cells] of the codes, rows rising with the second number
    low, high: f[2], the corners of the map
    centres: class -> f[2]
    lines:   f[n, 2, 2], start and end of each walk
    """

    density: np.ndarray
    low: np.ndarray
    high: np.ndarray
    centres: dict[str, np.ndarray]
    lines: np.ndarray


@styles.drawn
def save_planes(
    path: Path, panels: dict[str, tuple[np.ndarray, np.ndarray]], ticks: int = 5
) -> None:
    """Draw what is decoded on a grid of codes, one plane beside the other.

    Args: panels: title -> (u8[k, k, h, w, c], the values f[2, k] of the two numbers).
          Rows of images rise with the second number, so the first row is the lowest.
    """
    figure, axes = styles.panels(len(panels), 6.4, 0.95)
    for axis, (title, (images, values)) in zip(axes, panels.items(), strict=True):
        k, h, w = images.shape[1:4]
        rows = shaded(images[::-1].reshape(-1, *images.shape[2:]))
        axis.imshow(colours(tile(rows, columns=k, gap=0, scale=1)))
        at = np.linspace(0, k - 1, min(ticks, k)).round().astype(int)
        x, y = ([f"{v:.3g}" for v in numbers[at]] for numbers in values)
        axis.set_xticks((at + 0.5) * w - 0.5, x)
        axis.set_yticks((k - at - 0.5) * h - 0.5, y)
        axis.set(xlabel="z 1", ylabel="z 2", title=title)
    save_figure(path, figure)


@styles.drawn
def save_walks(
    path: Path, panels: dict[str, Walks], *, axes_names: Sequence[tuple[str, str]]
) -> None:
    """Draw walks as arrows over the density of codes, in grey.

    Grey is the square root of the density, so that few codes are seen too. axes_names:
    of each panel.
    """
    figure, axes = styles.panels(len(panels), 5.4, 1.0)
    outline = patheffects.withStroke(linewidth=2.5, foreground="white")
    named = []
    for axis, names, title in zip(axes, axes_names, panels, strict=True):
        some = panels[title]
        extent = (some.low[0], some.high[0], some.low[1], some.high[1])
        # the darkest grey is no black, on which coloured arrows are hard to see
        norm = PowerNorm(0.5, vmin=0.0, vmax=2.5 * float(some.density.max()))
        grey = {"cmap": "Greys", "norm": norm, "interpolation": "bilinear"}
        axis.imshow(some.density, origin="lower", extent=extent, aspect="auto", **grey)
        texts = [
            axis.text(x, y, name, ha="center", va="center", color="0.35")
            for name, (x, y) in some.centres.items()
        ]
        for text in texts:
            text.set_path_effects([outline])
        named.append(texts)
        for i, (start, end) in enumerate(some.lines):
            colour = styles.COLOURS[i % len(styles.COLOURS)]
            arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.5, "shrinkA": 0}
            axis.annotate("", end, start, arrowprops={**arrow, "shrinkB": 0})
            axis.plot(*start, "o", color=colour, label=f"walk {i + 1}")
        axis.set(xlim=extent[:2], ylim=extent[2:])
        axis.set(xlabel=names[0], ylabel=names[1], title=title)
    styles.legend_of(figure, axes)
    figure.draw_without_rendering()
    for texts in named:
        move_apart(texts)
    save_figure(path, figure)
