"""ADM on ImageNet 64x64, as published: 295,904,454 parameters, class-conditional.

TFDS_DATA_DIR=... python -m launch.train --config=configs/imagenet64_adm.py \
    --workdir=runs/imagenet64_adm

540,000 steps of 2,048 images: weeks on many GPUs; bfloat16 arithmetic. Dhariwal &
Nichol 2021, arXiv:2105.05233, table 11. Its guide:
configs/imagenet64_adm_classifier.py.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update(
        {
            "name": "tfds",
            "dataset": "imagenet2012",
            "size": 64,
            "flip": True,
        }
    )
    config.model.update(
        {
            "channels": 192,
            "multipliers": (1, 2, 3, 4),
            "num_blocks": 3,
            "attention": (32, 16, 8),
            "num_heads": 0,
            "head_channels": 64,
            "resblock_updown": True,
            "dropout": 0.1,
            "time_embedding": "cos_sin",
            "dtype": "bfloat16",
        }
    )
    config.diffusion.update(
        {
            "schedule": "cosine_beta",
            "prediction": "eps",
            "times": "discrete(num_steps=1000)",
            "stratified": False,
            "label_dropout": 0.0,
            "learned_variance": True,
        }
    )
    config.train.update(
        {
            "batch_size": 2048,
            "num_steps": 540_000,
            "optimizer": "adamw(weight_decay=0.0)",
            "lr": "constant(peak=3e-4)",
            "ema": "constant(decay=0.9999)",
            "sample_every": 10_000,
            "checkpoint_every": 5000,
            "keep_every": 50_000,
        }
    )
    config.sampler.update(
        {
            "solver": 'ddpm(variance="learned")',
            "grid": "respaced",
            "num_steps": 250,
            "batch_size": 64,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (64, 64, 3), "num_classes": 1000},
        smoke={"data.shape": (16, 16, 3), **base.SMALL_UNET},
    )
