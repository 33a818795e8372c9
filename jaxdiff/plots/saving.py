"""Pictures as files: whole or not there, in the page's formats and resolution."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from jaxdiff.files import whole
from jaxdiff.plots import styles
from jaxdiff.plots.fitting import fit_texts
from jaxdiff.plots.names import draw_as_written, note_missing
from jaxdiff.plots.page import SCREEN, files_of, page

# What a format's file states about itself that the day changes.
DATES = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def save_figure(path: Path, figure: Figure, **how: Any) -> None:
    """Write a figure in every format of the page, with names drawn as written.

    how: of Figure.savefig.
    """
    draw_as_written(figure)
    if figure.get_layout_engine():
        fit_texts(figure)
    how = {"dpi": page().resolution} | how
    for file in files_of(path):
        with whole(file) as part:
            figure.savefig(part, metadata=DATES[file.suffix[1:].lower()], **how)
    note_missing()


def save_image(path: Path, image: np.ndarray) -> None:
    """Write u8[h, w, c] as a PNG of exactly these pixels; one channel is grey."""
    with whole(path) as part:
        Image.fromarray(squeeze(image)).save(part)


@styles.drawn
def save_pixels(path: Path, image: np.ndarray) -> None:
    """Write u8[h, w, c] in every format of the page, a PNG by `save_image`.

    The others show it as large as on a screen, or as wide as the page.
    """
    high, wide = image.shape[:2]
    width = min(wide / SCREEN, page().width or wide)
    figure = Figure(figsize=(width, width * high / wide))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.axis("off")
    axis.imshow(colours(image))
    for file in files_of(path):
        if file.suffix.lower() == ".png":
            save_image(file, image)
            continue
        with whole(file) as part:
            figure.savefig(part, metadata=DATES[file.suffix[1:].lower()])


def colours(image: np.ndarray) -> np.ndarray:
    """u8[h, w, 3] of one channel too: a map of colours would round some levels down."""
    return np.broadcast_to(_visible(image), (*image.shape[:2], 3))


def squeeze(image: np.ndarray) -> np.ndarray:
    """u8[h, w, 1] to u8[h, w], which Pillow reads as grey; colour is unchanged."""
    image = _visible(image)
    return image[..., 0] if image.shape[-1] == 1 else image


def _visible(image):
    """The mean, grey, of channels that are neither grey nor red, green and blue, such
    as those of latents; Pillow would take a fourth one for transparency."""
    if image.shape[-1] in (1, 3):
        return image
    return image.mean(-1, keepdims=True).round().astype(np.uint8)
