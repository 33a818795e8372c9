"""Signed images, such as gradients, as colours."""

import matplotlib
import numpy as np


def signed_pixels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f[..., h, w, c] -> u8[..., h, w, 3], and the largest absolute value of each.

    Of one channel: from blue at minus the largest value to red at plus it, white at 0.
    Of three: each is a colour's, from black to full, and grey is 0.
    """
    largest = np.abs(values).max((-3, -2, -1))
    size = np.maximum(largest, np.finfo(np.float32).tiny)
    scaled = values / size[..., None, None, None]
    if values.shape[-1] == 1:
        colours = matplotlib.colormaps["RdBu_r"](0.5 + 0.5 * scaled[..., 0])[..., :3]
    else:
        colours = 0.5 + 0.5 * scaled
    return (255 * colours).round().astype(np.uint8), largest
