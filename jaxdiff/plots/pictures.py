"""Images for people: 8-bit pixels, grids and labelled strips."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdiff.notes import note
from jaxdiff.plots import styles
from jaxdiff.plots.labelled import GAP, Names, margin, save_labelled
from jaxdiff.plots.page import page
from jaxdiff.plots.saving import save_pixels

# Width of an image in a strip, in inches, and the least where the page has columns.
CELL, LEAST = 0.85, 0.25


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


def shaded(images: np.ndarray) -> np.ndarray:
    """u8[..., c] as the page has them: with `invert` grey ones dark on white."""
    return 255 - images if page().invert and images.shape[-1] == 1 else images


@styles.drawn
def save_grid(
    path: Path,
    images: np.ndarray,
    *,
    columns: int | None = None,
    names: Sequence[str] = (),
) -> None:
    """Draw `tile(images)` of u8[n, h, w, c]; a PNG has each of its pixels as it is.

    names: of the rows, one each, in a margin to the left. On a page of columns as many
           images of a row are drawn as fit.
    """
    if names and page().width:
        parts = np.split(images, len(names))
        save_rows(path, dict(zip(names, parts, strict=True)), cell=CELL / 2)
        return
    sheet = tile(shaded(images), columns=columns)
    if names:
        middles = (np.arange(len(names)) + 0.5) * (len(sheet) - 1) / len(names)
        width = sheet.shape[1] / page().resolution
        save_labelled(path, sheet, width, rows=Names(names, middles))
    else:
        save_pixels(path, sheet)


@styles.drawn
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

    On a page of columns some columns are left out, evenly, if not all fit.

    Args: rows: name -> u8[n, h, w, c]; the cells that a shorter row lacks stay white,
          and grey rows may stand beside rows in colour.
          columns: a name for each image of the longest row, or none.
          cell: inches per image.  group: number of rows drawn close together.
    """
    n = max(len(images) for images in rows.values())
    kept, cell = _fitting(path, n, cell, margin([*rows])[1])
    channels = max(images.shape[-1] for images in rows.values())
    cells = []
    for images in rows.values():
        images = np.broadcast_to(shaded(images), (*images.shape[:-1], channels))
        blank = np.full_like(images[:1], 255)
        cells.append(np.concatenate([images, *[blank] * (n - len(images))])[kept])
    n = len(kept)
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
    heads = [columns[int(k)] for k in kept] if columns else []
    save_labelled(
        path,
        np.concatenate(parts),
        cell * n,
        rows=Names([*rows], middles),
        columns=Names(heads, (np.arange(n) + 0.5) * wide if columns else []),
        title=title,
    )


def _fitting(path, n, cell, left):
    """Which of n columns fit beside names of `left` inches, and inches of a cell."""
    if not page().width:
        return np.arange(n), cell
    room = page().width - left - GAP
    most = min(n, int(room / LEAST))
    if most < n:
        note(f"{path.stem}: {most} of {n} columns of images fit on the page")
    return np.linspace(0, n - 1, most).round().astype(int), min(cell, room / most)


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
