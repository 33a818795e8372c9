"""DDPM on CIFAR-10, as published: 35,746,307 parameters, eps, linear betas.

TFDS_DATA_DIR=... python -m launch.train --config=configs/cifar10_ddpm.py \
    --workdir=runs/cifar10_ddpm

800,000 steps of 128 images: days on one GPU. Ho et al. 2020, arXiv:2006.11239, appendix
B, with the linear-beta table, dropout .1, and ancestral sampling over all 1,000 steps.
With --config.data.name=synthetic it needs no data set: synthetic images of this shape
are enough to measure speed.
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
            "num_blocks": 2,
            "attention": (16,),
            "embedding": "add",
            # as TensorFlow's group norm, and its "SAME" padding with a stride
            "norm_eps": 1e-6,
            "downsample_padding": "far",
            "dropout": 0.1,
        }
    )
    config.diffusion.update(
        {
            "schedule": "linear_beta",
            "prediction": "eps",
            "times": "discrete(num_steps=1000)",
            "stratified": False,
            "condition": "none",
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 800_000,
            "lr": "constant(peak=2e-4, warmup=5000)",
            "clip_norm": 1.0,
            "ema": "constant(decay=0.9999)",
            "log_every": 500,
            "sample_every": 50_000,
            "checkpoint_every": 10_000,
            "keep_every": 100_000,
        }
    )
    config.sampler.update(
        {
            "solver": 'ddpm(variance="large")',
            "grid": "discrete",
            "num_steps": 1000,
            "batch_size": 256,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (32, 32, 3)},
        smoke={"data.shape": (16, 16, 3), **base.SMALL_UNET},
    )
