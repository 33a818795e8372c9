"""A plain autoencoder of MNIST with two numbers per digit, beside `mnist_vae.py`.

TFDS_DATA_DIR=... python -m launch.train --config=configs/mnist_ae.py \
    --workdir=runs/mnist_ae

Some eight minutes on two CPU cores: 3.2 epochs. Nothing keeps the codes near the
origin: they reach out ten units, and the normal distribution fitted to them is 3.9 nats
from N(0, I), while that of the variational codes is .76 nats from it. The middles of
straight walks between two digits' codes do not distinguish the two models (8.25 from
real images here, 8.46 there, +- .1): in a plane they lead through other digits in both.

python -m launch.plot all --workdir=runs/mnist_ae --beside=runs/mnist_vae --out=out
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.task = "autoencoder"
    config.data.update({"name": "tfds", "dataset": "mnist"})
    config.model.update(
        {
            "name": "autoencoder",
            "channels": 8,
            "multipliers": (1, 2, 4),
            "num_blocks": 1,
            "latent_size": 2,  # so that the latent space is a picture
            "latent_channels": 0,
        }
    )
    config.autoencoder.kl_weight = 0.0
    config.train.update(
        {
            "batch_size": 64,
            "num_steps": 3000,
            "cpu_devices": 2,
            "optimizer": "adam",
            "lr": "cosine(peak=2e-3, warmup=100)",
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
