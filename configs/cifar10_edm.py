"""EDM's DDPM++ on CIFAR-10: 55,734,147 parameters, class-conditional.

TFDS_DATA_DIR=... python -m launch.train --config=configs/cifar10_edm.py \
    --workdir=runs/cifar10_edm

390,625 steps of 512 images: 200 million, days on eight GPUs. Karras et al. 2022,
arXiv:2206.00364, table 7, and the authors' code: EDM's preconditioning, 18 steps of
Heun. The published FID, 1.79, is with an augmentation whose nine parameters the network
reads. That is not offered here: images are mirrored alone, and the network has 1,152
parameters fewer. --config.model.family=ncsnpp is the other network of the paper, and
--config.diffusion.condition=none leaves out the labels.
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
            "name": "song_unet",
            "channels": 128,
            "multipliers": (2, 2, 2),
            "num_blocks": 4,
            "attention": (16,),
            "dropout": 0.13,
        }
    )
    config.diffusion.update(
        {
            "schedule": "edm",
            "prediction": "edm",
            "sigma_data": 0.5,
            "time_feature": "log_std",
            "times": "lognormal_sigma(mean=-1.2, std=1.2)",
            "stratified": False,
            "label_dropout": 0.0,
        }
    )
    config.train.update(
        {
            "batch_size": 512,
            "num_steps": 390_625,
            # over the first 10 million images
            "lr": "constant(peak=1e-3, warmup=19531)",
            "ema": "half_life(images=500000, batch_size=512)",
            "log_every": 100,
            "sample_every": 20_000,
            "checkpoint_every": 5000,
            "keep_every": 50_000,
        }
    )
    config.sampler.update(
        {
            "solver": "heun",
            "grid": "karras",
            "num_steps": 18,
            # x0 is not clipped in EDM's sampler
            "clip": False,
            "batch_size": 256,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (32, 32, 3)},
        smoke={
            "data.shape": (16, 16, 3),
            **base.SMALL,
            "model.attention": (),
        },
    )
