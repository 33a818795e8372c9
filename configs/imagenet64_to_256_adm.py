"""ADM's upsampler from 64x64 to 256x256, as published: 311,795,910 parameters.

TFDS_DATA_DIR=... python -m launch.train --config=configs/imagenet64_to_256_adm.py \
    --workdir=runs/imagenet64_to_256_adm
python -m launch.sample --workdir=runs/imagenet64_to_256_adm --out=out/cascade \
    --config.sampler.base=runs/imagenet64_adm

500,000 steps of 256 images: weeks on many GPUs; bfloat16 arithmetic. The small image is
not noised, as published. Dhariwal & Nichol 2021, arXiv:2105.05233, tables 4 and 11.
"""

from configs import base, imagenet64_adm


def get_config(variant: str = ""):
    config = imagenet64_adm.get_config()
    config.data.update({"size": 256})
    config.model.update(
        {
            "channels": 192,
            "multipliers": (1, 1, 2, 2, 4, 4),
            "num_blocks": 2,
            "num_heads": 4,
            "head_channels": 0,
            "dropout": 0.0,
            "remat": "block",
        }
    )
    config.diffusion.update({"schedule": "linear_beta", "low_size": 64})
    config.train.update(
        {"batch_size": 256, "num_steps": 500_000, "lr": "constant(peak=1e-4)"}
    )
    config.sampler.batch_size = 16
    return base.variant(
        config,
        variant,
        synthetic={"shape": (256, 256, 3), "num_classes": 1000},
        smoke={
            "data.shape": (16, 16, 3),
            "diffusion.low_size": 8,
            **base.SMALL_UNET,
            "model.channels": 32,
            "model.num_heads": 4,
        },
    )
