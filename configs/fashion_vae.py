"""The first stage of latent diffusion for Fashion-MNIST: 28x28 pixels to 7x7x4 numbers.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_vae.py \
    --workdir=runs/fashion_vae

3,000 steps: some twenty minutes on two CPU cores. The KL has only 1e-6 of its weight in
the bound. It keeps the codes from drifting away and costs no sharpness, but the codes
are not distributed like N(0, I). Their distribution is left to the diffusion model that
is trained on them.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.task = "autoencoder"
    config.data.update({"name": "tfds", "dataset": "fashion_mnist"})
    config.model.update(
        {
            "name": "autoencoder",
            "channels": 16,
            "multipliers": (1, 2, 2),
            "num_blocks": 1,
            "latent_channels": 4,
        }
    )
    config.autoencoder.kl_weight = 1e-6
    config.train.update(
        {
            "batch_size": 64,
            "num_steps": 3000,
            "cpu_devices": 2,
            "optimizer": "adam",
            "lr": "cosine(peak=1e-3, warmup=100)",
            "checkpoint_every": 1000,
            "sample_every": 1000,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 10},
        smoke=base.SMALL,
    )
