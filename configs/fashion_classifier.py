"""A classifier of noisy Fashion-MNIST, to guide `fashion_adm`.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_classifier.py \
    --workdir=runs/fashion_classifier
python -m launch.sample --workdir=runs/fashion_adm --out=out/guided \
    --config.sampler.guidance=0.0 --config.sampler.classifier=runs/fashion_classifier \
    --config.sampler.classifier_scale=4.0

2,000 steps of 128 images: a minute on one GPU, half an hour on two CPU cores. The
preview shows the accuracy at each noise level: near .9 at t = 0, .1 at t = 1.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.task = "classifier"
    config.data.update({"name": "tfds", "dataset": "fashion_mnist"})
    config.model.update(
        {
            "name": "classifier",
            "channels": 16,
            "multipliers": (1, 2, 4),
            "num_blocks": 1,
            "attention": (7,),
            "num_heads": 0,
            "head_channels": 32,
            "resblock_updown": True,
            "time_embedding": "cos_sin",
        }
    )
    config.diffusion.update(
        {"schedule": "cosine_beta", "times": "discrete(num_steps=1000)"}
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 2000,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.05)",
            "lr": "cosine(peak=2e-3, warmup=100)",
            "clip_norm": 1.0,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 10},
        smoke={"data.shape": (12, 12, 1), **base.SMALL_UNET},
    )
