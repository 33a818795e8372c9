"""Class-conditional 8x8 handwritten digits, the first experiment of the README.

python -m launch.train --config=configs/digits.py --workdir=runs/digits

It takes about three minutes on two CPU cores. A grid of samples then shows the digits 0
to 9, row by row.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.name = "digits"
    config.model.update({"channels": 32, "multipliers": (1, 2), "num_blocks": 1})
    config.train.update(
        {
            "batch_size": 64,
            "num_steps": 1600,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.01)",
            "lr": "cosine(peak=2e-3, warmup=100)",
            "clip_norm": 1.0,
            "sample_every": 400,
            "checkpoint_every": 400,
        }
    )
    config.sampler.update({"guidance": 2.0})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (8, 8, 1), "num_classes": 10},
        smoke=base.SMALL_UNET,
    )
