"""ADM on ImageNet 256x256, as published: 553,838,086 parameters, class-conditional.

TFDS_DATA_DIR=... python -m launch.train --config=configs/imagenet256_adm.py \
    --workdir=runs/imagenet256_adm

1,980,000 steps of 256 images: weeks on many GPUs; bfloat16 arithmetic. Dhariwal &
Nichol 2021, arXiv:2105.05233, table 11: linear betas, and no dropout at this size.
"""

from configs import base, imagenet64_adm


def get_config(variant: str = ""):
    config = imagenet64_adm.get_config()
    config.data.update({"size": 256})
    config.model.update(
        {
            "channels": 256,
            "multipliers": (1, 1, 2, 2, 4, 4),
            "num_blocks": 2,
            "dropout": 0.0,
            "remat": "block",
        }
    )
    config.diffusion.schedule = "linear_beta"
    config.train.update(
        {"batch_size": 256, "num_steps": 1_980_000, "lr": "constant(peak=1e-4)"}
    )
    config.sampler.batch_size = 16
    return base.variant(
        config,
        variant,
        synthetic={"shape": (256, 256, 3), "num_classes": 1000},
        smoke={"data.shape": (16, 16, 3), **base.SMALL_UNET},
    )
