"""Densities in the plane, as maps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdiff.plots import styles
from jaxdiff.plots.saving import save_figure


@styles.drawn
def save_densities(
    path: Path,
    rows: dict[str, tuple[Sequence[str], Sequence[np.ndarray]]],
    *,
    reach: float,
) -> None:
    """Draw {row: (titles, maps f[h, w])}, each from -reach to reach in both directions.

    All maps have one scale of colours, from 0 to near the highest density.
    """
    most = max(len(maps) for _, maps in rows.values())
    width = styles.width(2.1 * most)
    figure = styles.figure(width, (width / most + 0.5) * len(rows))
    axes = figure.subplots(len(rows), most, squeeze=False)
    every = [p for _, maps in rows.values() for p in maps]
    high = float(np.median([p.max() for p in every]))
    for line, (name, (titles, maps)) in zip(axes, rows.items(), strict=True):
        for axis, title, p in zip(line, titles, maps, strict=False):
            axis.imshow(
                p,
                origin="lower",
                extent=(-reach, reach, -reach, reach),
                cmap="magma_r",
                vmin=0.0,
                vmax=high,
            )
            axis.set_title(title)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    save_figure(path, figure)
