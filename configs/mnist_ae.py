"""A plain autoencoder of MNIST with two numbers a digit, beside `mnist_vae.py`.

TFDS_DATA_DIR=... python -m launch.train --config=configs/mnist_ae.py \
    --workdir=runs/mnist_ae

About four minutes on two CPU cores: 1.6 epochs. Nothing keeps the codes near the
origin: they reach nine units out, and the normal fitted to them is 1.7 nats from
N(0, I), where the variational one's is at .04. The middles of straight walks between
two digits' codes are as far from real images as the variational one's after so short a
training (8.51 and 8.52, +- .09), so that this number does not tell the two apart.

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
            "num_steps": 6000,
            "cpu_devices": 2,
            "optimizer": "adam",
            "lr": "cosine(peak=2e-3, warmup=100)",
            "checkpoint_every": 1000,
            "sample_every": 2000,
        }
    )
    return base.variant(config, variant, shape=(28, 28, 1), num_classes=10)
