"""The small model of a cascade: class-conditional Fashion-MNIST at 14x14.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_base.py \
    --workdir=runs/fashion_base

3,000 steps of 128 images: a minute on one GPU, an hour on two CPU cores.
`configs/fashion_cascade.py` enlarges its samples.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update({"name": "tfds", "dataset": "fashion_mnist", "size": 14})
    config.model.update(
        {
            "channels": 32,
            "multipliers": (1, 2),
            "num_blocks": 2,
            "attention": (7,),
            "num_heads": 0,
            "head_channels": 32,
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 3000,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.0)",
            "lr": "cosine(peak=2e-3, warmup=100)",
            "clip_norm": 1.0,
            "sample_every": 1000,
        }
    )
    config.sampler.update({"num_steps": 50, "guidance": 1.5, "batch_size": 250})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (14, 14, 1), "num_classes": 10},
        smoke={"data.shape": (6, 6, 1), **base.SMALL_UNET},
    )
