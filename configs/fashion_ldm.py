"""Latent diffusion on Fashion-MNIST: a U-Net over the 7x7x4 codes of `fashion_vae`.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_vae.py \
    --workdir=runs/fashion_vae
python -m launch.train --config=configs/fashion_ldm.py --workdir=runs/fashion_ldm

The images are encoded once, and the codes are kept beside their encoder. Each channel
of the codes is scaled to variance 1; its moments are measured and stored with the run.
Samples and previews are decoded. 8,000 steps of 128 codes: a minute on one GPU, an hour
and three quarters on two CPU cores (3,000 are enough for clothes of every class).
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update(
        {"name": "latents", "path": "runs/fashion_vae", "standardise": True}
    )
    config.model.update(
        {
            "channels": 64,
            "multipliers": (1,),  # seven does not halve
            "num_blocks": 3,
            "attention": (7,),
            "num_heads": 0,
            "head_channels": 32,
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 8000,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.0)",
            "lr": "cosine(peak=1e-3, warmup=200)",
            "clip_norm": 1.0,
            "sample_every": 2000,
        }
    )
    config.sampler.update({"num_steps": 50, "batch_size": 250})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (7, 7, 4), "num_classes": 10},
        smoke=base.SMALL_UNET,
    )
