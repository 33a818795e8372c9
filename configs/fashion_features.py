"""A classifier of clean Fashion-MNIST, whose features give FID and KID of samples.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_features.py \
    --workdir=runs/fashion_features

2,000 steps of 128 images: a minute on one GPU, half an hour on two CPU cores.
It is `fashion_classifier` at t = 0 only, with another seed, so that it is independent
of the classifier that guides.
"""

from configs import fashion_classifier


def get_config(variant: str = ""):
    config = fashion_classifier.get_config(variant)
    config.seed = 1
    config.diffusion.times = "constant(t=0.0)"
    config.data.flip = True
    return config
