"""Images for people: 8-bit pixels, grids and labelled strips."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxdiff.plots.saving import save_figure, save_image, squeeze

# Width of an image in a strip, in inches, so that a column's name fits above it.
CELL = 0.85


def to_uint8(values: Any, peak: float) -> Any:
    """Data units in [0, peak] to pixels: round(255 v / peak), clipped. An array of
    numpy or JAX.

    This rounds, unlike EDM's floor(127.5 x + 128). The choice moves every Frechet
    distance a little, so it is made in one place.
    """
    return (values * (255.0 / peak)).round().clip(0, 255).astype(np.uint8)


def tile(
    images: np.ndarray, *, columns: int | None = None, gap: int = 1, scale: int = 0
) -> np.ndarray:
    """One picture of u8[n, h, w, c], row by row on white, with small images enlarged.

    Args: columns: images per row; by default about as many as rows.
          scale: a whole factor of enlargement; 0 makes images 48 pixels or more.
    """
    n, h, w, c = images.shape
    columns = min(columns or int(np.ceil(np.sqrt(n))), n)
    scale = scale or max(1, -(-48 // min(h, w)))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    h, w, rows = h * scale + gap, w * scale + gap, -(-n // columns)
    sheet = np.full((rows * h + gap, columns * w + gap, c), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * h + gap, i % columns * w + gap
        sheet[y : y + h - gap, x : x + w - gap] = image
    return sheet


def save_grid(path: Path, images: np.ndarray, *, columns: int | None = None) -> None:
    """Write `tile(images)` of u8[n, h, w, c] as a PNG."""
    save_image(path, tile(images, columns=columns))


def save_rows(
    path: Path,
    rows: dict[str, np.ndarray],
    *,
    columns: Sequence[str] = (),
    title: str = "",
    cell: float = CELL,
    group: int = 1,
) -> None:
    """Draw named rows of images under named columns: steps, noise levels, times.

    Args: rows: name -> u8[n, h, w, c]; the cells that a shorter row lacks stay white.
          columns: a name for each image of the longest row, or none.
          cell: inches per image.  group: number of rows drawn close together.
    """
    n = max(len(images) for images in rows.values())
    blank = np.full_like(next(iter(rows.values()))[:1], 255)
    cells = [np.concatenate([r, *[blank] * (n - len(r))]) for r in rows.values()]
    # all cells are one image in one axis, because a hundred axes take many seconds
    strips = [tile(row, columns=n, gap=2)[2:] for row in cells]
    high, wide = strips[0].shape[0], strips[0].shape[1] / n
    space = np.full_like(strips[0][: high // 6], 255)
    parts, middles, at = [], [], 0.0
    for i, strip in enumerate(strips):
        if i and i % group == 0 and group > 1:
            parts.append(space)
            at += len(space)
        parts.append(strip)
        middles.append(at + high / 2)
        at += high
    figure = Figure(figsize=(cell * n, cell * at / wide))
    axis = figure.add_axes((0, 0, 1, 1))
    sheet = squeeze(np.concatenate(parts))
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_yticks(middles, [*rows])
    axis.set_xticks((np.arange(len(columns)) + 0.5) * wide, columns)
    axis.tick_params(length=0, labeltop=True, labelbottom=False, labelsize=9)
    axis.spines[:].set_visible(False)
    if title:
        axis.set_title(title, fontsize=11, pad=10)
    # the figure has the size of the images; "tight" adds the room that names need
    save_figure(path, figure, bbox_inches="tight", pad_inches=0.15)


def save_estimates(
    path: Path,
    names: Sequence[str],
    x_t: np.ndarray,
    x0: np.ndarray,
    *,
    columns: Sequence[str],
    title: str,
) -> None:
    """Draw two rows per image: the network's input x_t, and below, its estimate of x0.

    Args: x_t: u8[t, n, h, w, c].  x0: the same, or for fewer times.
          names: n different ones.
    """
    rows = {}
    for i, name in enumerate(names):
        rows[f"{name}: x_t"] = x_t[:, i]
        rows[f"predicted x0, {i + 1}"] = x0[:, i]
    save_rows(path, rows, columns=columns, title=title, group=2)
