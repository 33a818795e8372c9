"""scikit-learn's 1,797 handwritten digits, 8x8, grey values 0 to 16."""

import numpy as np
from sklearn.datasets import load_digits

from jaxdiff.data import images
from jaxdiff.data.source import Source


def make(labels: tuple[int, ...] = (), low: float = -1.0) -> Source:
    """scikit-learn's digits as x f32[b, 8, 8, 1]; with low = -1, x = raw / 8 - 1.

    Args:   labels: digits to keep, in the order of the new classes; () for all ten.
            low: model value of black; white is 1.
    Errors: ValueError for a label outside 0..9 or given twice, or for low >= 1.
    """
    names = tuple(str(k) for k in range(10))
    images.check_labels(labels, 10)
    images.ranges(low, 16.0)
    raw, digit = map(np.asarray, load_digits(return_X_y=True))
    index, kept, names = images.keep_labels(digit, labels, names)
    pixels = raw[index].reshape(-1, 8, 8, 1).astype(np.uint8)
    return images.from_array(pixels, kept, names, low=low, peak=16.0)
