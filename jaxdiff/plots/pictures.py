"""Images as people look at them: 8-bit pixels, grids and labelled strips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image


def to_uint8(values: np.ndarray, peak: float) -> np.ndarray:
    """Data units in [0, peak] to pixels: round(255 v / peak), clipped.

    Rounding, not EDM's floor(127.5 x + 128): the choice moves every Frechet distance a
    little, so it is made once, here.
    """
    return np.clip(np.rint(values * (255.0 / peak)), 0, 255).astype(np.uint8)


def squeeze(image: np.ndarray) -> np.ndarray:
    """u8[h, w, 1] to u8[h, w], which Pillow calls grey; colour stays."""
    return image[..., 0] if image.shape[-1] == 1 else image


def tile(
    images: np.ndarray, *, columns: int | None = None, gap: int = 1, scale: int = 0
) -> np.ndarray:
    """u8[n, h, w, c] -> one picture, row by row on white, pixels enlarged for small ones.

    columns: images a row, by default about as many as rows.
    scale: whole factor of enlargement; 0 makes images 48 pixels or more.
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
    """Write `tile(images)` as a PNG; u8[n, h, w, c]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(squeeze(tile(images, columns=columns))).save(path)


def save_rows(
    path: Path,
    rows: dict[str, np.ndarray],
    *,
    columns: Sequence[str] = (),
    title: str = "",
) -> None:
    """Named rows of images over named columns: strips of steps, noise levels, times.

    rows: name -> u8[n, h, w, c], all of one n.  columns: n names, or none.
    """
    n = len(next(iter(rows.values())))
    figure = Figure(
        figsize=(0.9 * n + 1.2, 0.95 * len(rows) + 0.5), layout="constrained"
    )
    axes = figure.subplots(len(rows), n, squeeze=False)
    for i, (name, images) in enumerate(rows.items()):
        for j, image in enumerate(images):
            axis = axes[i, j]
            axis.imshow(squeeze(image), cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if i == 0 and len(columns):
                axis.set_title(columns[j], fontsize=8)
        axes[i, 0].set_ylabel(name, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
