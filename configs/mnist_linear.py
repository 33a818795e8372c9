"""The linear-mix model from scratch: MNIST's 1, 8 and 4 mixed with uniform noise.

TFDS_DATA_DIR=... python -m launch.train --config=configs/mnist_linear.py \
    --workdir=runs/mnist_linear

Five epochs of 18,435 images; about two minutes on two CPU cores. The network gets
neither time nor label, predicts x0, and sampling starts from uniform noise.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update(
        {"name": "tfds", "dataset": "mnist", "labels": (1, 8, 4), "low": 0.0}
    )
    config.model.name = "basic_unet"
    config.diffusion.update(
        {
            "schedule": "linear_mix",
            "prediction": "x0",
            "noise": "uniform",
            "condition": "none",
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 720,  # five epochs of 144
            "optimizer": "adam",
            "lr": "constant(peak=1e-3)",
            # none, as published: with averages, so short a run makes fewer eights
            "ema": "constant(decay=0.0)",
            "log_every": 12,
            "sample_every": 144,
            "checkpoint_every": 144,
            "num_preview": 64,
        }
    )
    config.sampler.update({"num_steps": 40, "clip": False, "batch_size": 64})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 3},
        smoke={},
    )
