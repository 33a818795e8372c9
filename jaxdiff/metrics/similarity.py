"""How alike vectors are, what they depend on, and how alike neighbouring pixels are.

(1)  emb(t, y) = mean + a(t) + b(y) + rest(t, y)
     a and b are the averages over the other of the two, less the mean. The squares of
     the three parts add up to the variance of emb over t, y and its values.
(2)  cos(a(t), a(t'))   and   cos(b(y), b(y'))
(3)  r = mean over neighbours of d_i d_j / mean d_i^2,   d = pixel - mean of its image

The mean is left out of (2), since it would make all vectors similar. Of n labels that
have nothing to do with one another, cos is then -1 / (n - 1). r is near 1 of smooth
images, 0 of white noise.
"""

from typing import NamedTuple

import numpy as np


class Parts(NamedTuple):
    """of_time f64[t, e], of_label f64[y, e]: a and b of equation 1.

    shares: of the variance, of "time", "label" and "interaction", the rest
    """

    of_time: np.ndarray
    of_label: np.ndarray
    shares: dict[str, float]


def split(emb: np.ndarray) -> Parts:
    """Equation 1 of f64[t, y, e]."""
    centred = emb - emb.mean((0, 1))
    of_time, of_label = centred.mean(1), centred.mean(0)
    rest = centred - of_time[:, None] - of_label
    powers = {"time": of_time, "label": of_label, "interaction": rest}
    powers = {k: float(np.square(v).mean()) for k, v in powers.items()}
    total = sum(powers.values()) or 1.0
    return Parts(of_time, of_label, {k: v / total for k, v in powers.items()})


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Equation 2: f64[n, e] -> f64[n, n]. A vector of zeros is similar to none, NaN."""
    size = np.sqrt(np.square(vectors).sum(-1, keepdims=True))
    unit = vectors / np.where(size > 0, size, np.nan)
    return unit @ unit.T


def correlation(images: np.ndarray) -> np.ndarray:
    """r of equation 3: of f[..., h, w, c] for each image f[...], horizontally and
    vertically, in its channels; 0 for an image of one colour."""
    d = images - images.mean((-3, -2), keepdims=True)
    across, down = d[..., 1:, :] * d[..., :-1, :], d[..., 1:, :, :] * d[..., :-1, :, :]
    pairs = [p.reshape(*images.shape[:-3], -1) for p in (across, down)]
    power = np.square(d).mean((-3, -2, -1))
    return np.concatenate(pairs, -1).mean(-1) / np.where(power > 0, power, 1.0)
