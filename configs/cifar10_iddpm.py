"""Improved DDPM on CIFAR-10, as published: 52,546,438 parameters, hybrid loss.

TFDS_DATA_DIR=... python -m launch.train --config=configs/cifar10_iddpm.py \
    --workdir=runs/cifar10_iddpm

500,000 steps of 128 images: days on one GPU. Nichol & Dhariwal 2021, arXiv:2102.09672:
cosine schedule of 4,000 steps, learned variance, ancestral sampling in any number of
them: --config.sampler.grid='respaced(total=4000)' --config.sampler.num_steps=250
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update(
        {
            "name": "tfds",
            "dataset": "cifar10",
            "flip": True,
        }
    )
    config.model.update(
        {
            "channels": 128,
            "multipliers": (1, 2, 2, 2),
            "num_blocks": 3,
            "attention": (16, 8),
            "num_heads": 4,
            "dropout": 0.3,
            "time_embedding": "cos_sin",
        }
    )
    config.diffusion.update(
        {
            "schedule": "cosine_beta(num_steps=4000)",
            "prediction": "eps",
            "times": "discrete(num_steps=4000)",
            # scaled to 0 ... 1,000, as in the published networks
            "time_feature": "index(num_steps=4000, scale=0.25)",
            "stratified": False,
            "condition": "none",
            "learned_variance": True,
            "bound_steps": 4000,
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 500_000,
            "optimizer": "adamw(weight_decay=0.0)",
            "lr": "constant(peak=1e-4)",
            "ema": "constant(decay=0.9999)",
            "log_every": 500,
            "sample_every": 50_000,
            "checkpoint_every": 10_000,
            "keep_every": 100_000,
        }
    )
    config.sampler.update(
        {
            "solver": 'ddpm(variance="learned")',
            "grid": "discrete(total=4000)",
            "num_steps": 4000,
            "batch_size": 256,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (32, 32, 3)},
        smoke={
            "data.shape": (16, 16, 3),
            **base.SMALL_UNET,
            "model.channels": 32,
            "model.num_heads": 4,
        },
    )
