"""A classifier of clean 8x8 digits, whose features give FID and KID of samples.

python -m launch.train --config=configs/digits_features.py \
    --workdir=runs/digits_features

600 steps of 64 images: about a minute on two CPU cores.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.task = "classifier"
    config.seed = 1
    config.data.name = "digits"
    config.model.update(
        {
            "name": "classifier",
            "channels": 16,
            "multipliers": (1, 2),
            "num_blocks": 1,
            "attention": (4,),
            "num_heads": 0,
            "head_channels": 16,
        }
    )
    config.diffusion.times = "constant(t=0.0)"
    config.train.update(
        {
            "batch_size": 64,
            "num_steps": 600,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.05)",
            "lr": "cosine(peak=2e-3, warmup=100)",
            "clip_norm": 1.0,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (8, 8, 1), "num_classes": 10},
        smoke=base.SMALL_UNET,
    )
