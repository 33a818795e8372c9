"""Square maps side by side, in one scale of colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


@styles.drawn
def save_maps(
    path: Path, maps: Sequence[Map], *, colours: str, title: str = ""
) -> None:
    """Draw maps, blue at -1 and red at 1, over the scale of what `colours` names."""
    figure, axes = styles.panels(len(maps), 4.2, 0.8, above=0.9)
    for axis, each in zip(axes, maps, strict=True):
        how: dict[str, Any] = {"origin": "lower", "extent": (0, 1, 0, 1)}
        if each.names:
            how = {"origin": "upper"}
            axis.set_xticks(range(len(each.names)), each.names)
            axis.set_yticks(range(len(each.names)), each.names)
        image = axis.imshow(each.values, cmap="RdBu_r", vmin=-1, vmax=1, **how)
        axis.set(xlabel=each.axis, ylabel=each.axis, title=each.title)
    place = {"location": "bottom", "fraction": 0.05, "aspect": 30, "pad": 0.02}
    ticks = (-1, -0.5, 0, 0.5, 1)
    figure.colorbar(image, ax=axes, label=colours, ticks=ticks, **place)
    figure.suptitle(title)
    save_figure(path, figure)
