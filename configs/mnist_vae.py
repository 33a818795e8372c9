"""A variational autoencoder of MNIST: `mnist_ae.py` with noise in the codes and the KL.

TFDS_DATA_DIR=... python -m launch.train --config=configs/mnist_vae.py \
    --workdir=runs/mnist_vae

Some eleven minutes on two CPU cores: 3.2 epochs. The normal distribution fitted to the
codes is .76 nats from N(0, I), at a KL of 8.6 nats per image. The reconstruction costs
62.1 nats; that of the plain autoencoder costs 61.2. Both are blurred, since a code has
only two numbers.

With eight numbers in both (--config.model.latent_size=8) and the whole KL here
(--config.autoencoder.kl_weight=1.0), the middles of straight walks between two digits'
codes are nearer to real images than those of the plain autoencoder, by .22 +- .07.

python -m launch.plot all --workdir=runs/mnist_vae --out=out/mnist_vae
"""

from configs import base, mnist_ae


def get_config(variant: str = ""):
    config = mnist_ae.get_config()
    config.autoencoder.kl_weight = 0.15  # the variance of p(x | z): its squared error
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 10},
        smoke=base.SMALL,
    )
