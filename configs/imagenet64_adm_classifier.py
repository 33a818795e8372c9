"""ADM's classifier of noisy ImageNet 64x64, to guide `imagenet64_adm`.

TFDS_DATA_DIR=... python -m launch.train --config=configs/imagenet64_adm_classifier.py \
    --workdir=runs/imagenet64_adm_classifier

300,000 steps of 1,024 images: days on a few GPUs. Dhariwal & Nichol 2021,
arXiv:2105.05233, table 12: 128 channels, 4 blocks per level, attention pooling, trained
with the noise of the model that it guides.
"""

from configs import base, imagenet64_adm


def get_config(variant: str = ""):
    config, guided = base.get_config(), imagenet64_adm.get_config()
    config.task = "classifier"
    config.update({block: guided[block] for block in ("data", "model", "train")})
    noise = ("schedule", "times", "stratified")
    config.diffusion.update({field: guided.diffusion[field] for field in noise})
    config.model.update(
        {"name": "classifier", "channels": 128, "num_blocks": 4, "dropout": 0.0}
    )
    config.train.update(
        {
            "batch_size": 1024,
            "num_steps": 300_000,
            "optimizer": "adamw(weight_decay=0.2)",
            "lr": "linear(peak=6e-4)",
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (64, 64, 3), "num_classes": 1000},
        smoke={"data.shape": (16, 16, 3), **base.SMALL_UNET},
    )
