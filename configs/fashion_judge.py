"""A classifier of clean Fashion-MNIST: judges samples, gives distances their features.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_judge.py \
    --workdir=runs/fashion_judge

2,000 steps of 128 images: a minute on one GPU, half an hour on two CPU cores.
`fashion_classifier` at t = 0 alone, with another seed: it never saw what it judges by.
"""

from configs import fashion_classifier


def get_config(variant: str = ""):
    config = fashion_classifier.get_config(variant)
    config.seed = 1
    config.diffusion.times = "constant(t=0.0)"
    config.data.flip = True
    return config
