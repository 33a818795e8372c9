"""Masks of images: which pixels are to be drawn anew."""

from pathlib import Path

import numpy as np

from jaxdiff.data import folder

# Masks without a file: which rows y and columns x, from 0 to 1, are drawn anew.
REGIONS = {
    "top": lambda y, x: y < 0.5,
    "bottom": lambda y, x: y > 0.5,
    "left": lambda y, x: x < 0.5,
    "right": lambda y, x: x > 0.5,
    "centre": lambda y, x: np.maximum(np.abs(y - 0.5), np.abs(x - 0.5)) < 0.25,
}


def read(mask: str | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool[h, w], what is drawn anew: white in a picture, or a region of REGIONS.

    Args:   mask: name of a file or region, or the array.  shape: (h, w, ...) of images.
    Errors: FileNotFoundError for no such file; ValueError for another size, and for a
            mask that leaves nothing to keep, or nothing to draw.
    """
    h, w = shape[:2]
    text = mask if isinstance(mask, str) else ""
    if not isinstance(mask, str):
        drawn = np.asarray(mask)
        if drawn.dtype != bool or drawn.shape != (h, w):
            raise ValueError(
                f"mask must be bool of shape ({h}, {w}), True where the image is drawn "
                f"anew, got {drawn.dtype} {drawn.shape}"
            )
    elif text in REGIONS:
        y, x = np.mgrid[:h, :w]
        drawn = REGIONS[text]((y + 0.5) / h, (x + 0.5) / w)
    else:
        path = Path(text).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"--mask: there is no file {text!r}; give one, white where the image "
                f"is to be drawn anew, or one of {', '.join(REGIONS)}"
            )
        pixels = folder.read_file(path, None, False, 1)
        folder.check_size(f"--mask {text}", pixels, shape, "it must be of that size")
        drawn = pixels[..., 0] > 127
    if not drawn.any():
        raise ValueError(f"--mask {text} is black all over: nothing to be drawn anew")
    if drawn.all():
        raise ValueError(f"--mask {text} is white all over: nothing to be kept")
    return drawn
