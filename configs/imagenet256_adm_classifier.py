"""ADM's classifier of noisy ImageNet 256x256, a tenth of the model that it guides.

TFDS_DATA_DIR=... python -m launch.train --workdir=runs/imagenet256_adm_classifier \
    --config=configs/imagenet256_adm_classifier.py

500,000 steps of 256 images: weeks on a few GPUs; 54,096,360 parameters. Dhariwal &
Nichol 2021, arXiv:2105.05233, table 12: 128 channels, 2 blocks per level, attention
pooling, trained with the noise of the model that it guides.
"""

from configs import base, imagenet64_adm_classifier, imagenet256_adm


def get_config(variant: str = ""):
    config = imagenet64_adm_classifier.get_config()
    guided = imagenet256_adm.get_config()
    config.data.size = guided.data.size
    config.model.update(
        {"multipliers": guided.model.multipliers, "num_blocks": 2, "remat": "block"}
    )
    config.diffusion.schedule = guided.diffusion.schedule
    config.train.update(
        {
            "batch_size": 256,
            "num_steps": 500_000,
            "optimizer": "adamw(weight_decay=0.05)",
            "lr": "linear(peak=3e-4)",
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (256, 256, 3), "num_classes": 1000},
        smoke={"data.shape": (16, 16, 3), **base.SMALL_UNET},
    )
