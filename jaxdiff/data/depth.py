"""The bits of a value of a picture, where Pillow's mode leaves them open."""

import re

import numpy as np
from PIL import Image

# A TIFF's tag, and Pillow's names of layouts with 16 bits a value; "BGR;16" has 16 a
# pixel.
BITS_PER_SAMPLE = 258
DEEP = re.compile(r";16[BLN]$")


def is_cut_off(image: Image.Image) -> bool:
    """Whether Pillow reads 8 of more bits: its only mode of colours has 8 of each.

    It can be read off what the decoder gets, until the picture is loaded, and in a TIFF
    off a tag.
    """
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, 8)
    if max(np.atleast_1d(bits)) > 8:
        return True
    for codec, _, _, args in getattr(image, "tile", ()):
        some = args if isinstance(args, tuple) else (args,)
        if codec == "SGI16" or any(DEEP.search(a) for a in some if isinstance(a, str)):
            return True
        peak = max((a for a in some if isinstance(a, int)), default=0)
        if codec.startswith("ppm") and peak > 255:
            return True
    return False
