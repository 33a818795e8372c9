"""ADM's classifier of noisy ImageNet 64x64, to guide `imagenet64_adm`.

TFDS_DATA_DIR=... python -m launch.train --config=configs/imagenet64_adm_classifier.py \
    --workdir=runs/imagenet64_adm_classifier

300,000 steps of 1,024 images: days on a few GPUs. Dhariwal & Nichol 2021,
arXiv:2105.05233, table 12: 128 channels, 4 blocks a level, attention pooling, on the
noise of the model that it guides.
"""

from configs import base, imagenet64_adm


def get_config(variant: str = ""):
    config = imagenet64_adm.get_config()
    config.task = "classifier"
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
    return base.variant(config, variant, shape=(16, 16, 3))
