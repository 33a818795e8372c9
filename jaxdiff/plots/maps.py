"""Square maps side by side, in one scale of colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


class Map(NamedTuple):
    """values: f[n, n], from -1 to 1.  axis: what its rows and columns are.

    names: of the rows and columns; or without, these are even steps from 0 to 1.
    """

    title: str
    values: np.ndarray
    axis: str
    names: Sequence[str] = ()


def save_maps(
    path: Path, maps: Sequence[Map], *, colours: str, title: str = ""
) -> None:
    """Draw maps, blue at -1 and red at 1, beside the scale of what `colours` names."""
    figure = styles.figure(3.6 * len(maps) + 0.9, 4.3)
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axis, each in zip(axes, maps, strict=True):
        n = len(each.values)
        box = None if each.names else (0, 1, 0, 1)
        image = axis.imshow(
            each.values,
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            extent=box,
            origin="upper" if each.names else "lower",
            interpolation="nearest",
        )
        if each.names:
            # long names of columns would run into one another
            turn = 90 if max(map(len, each.names)) > 2 else 0
            axis.set_xticks(range(n), each.names, rotation=turn)
            axis.set_yticks(range(n), each.names)
        axis.set(xlabel=each.axis, ylabel=each.axis)
        axis.set_title(each.title, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8, label=colours)
    figure.suptitle(title, fontsize=11)
    save_figure(path, figure)
