"""Pictures as files: whole or not there, and every figure in one resolution."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from jaxdiff.files import whole
from jaxdiff.plots.names import draw_as_written

DPI = 110


def save_figure(path: Path, figure: Figure, **how: Any) -> None:
    """Write a figure, with names drawn as written. how: of Figure.savefig."""
    draw_as_written(figure)
    with whole(path) as part:
        figure.savefig(part, dpi=DPI, **how)


def save_image(path: Path, image: np.ndarray) -> None:
    """Write u8[h, w, c] as it is; one channel is grey."""
    with whole(path) as part:
        Image.fromarray(squeeze(image)).save(part)


def squeeze(image: np.ndarray) -> np.ndarray:
    """u8[h, w, 1] to u8[h, w], which Pillow reads as grey; colour is unchanged."""
    return image[..., 0] if image.shape[-1] == 1 else image
