"""A classifier of clean Fashion-MNIST, whose features FID and KID of samples are of.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_features.py \
    --workdir=runs/fashion_features

2,000 steps of 128 images: a minute on one GPU, half an hour on two CPU cores.
`fashion_classifier` at t = 0 alone, with another seed: it is independent of the one
that guides.
"""

from configs import fashion_classifier


def get_config(variant: str = ""):
    config = fashion_classifier.get_config(variant)
    config.seed = 1
    config.diffusion.times = "constant(t=0.0)"
    config.data.flip = True
    return config
