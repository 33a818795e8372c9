"""A variational autoencoder of MNIST: `mnist_ae.py` with noise in the codes and the KL.

TFDS_DATA_DIR=... python -m launch.train --config=configs/mnist_vae.py \
    --workdir=runs/mnist_vae

About three minutes on two CPU cores that have nothing else to do. The codes fill the
unit normal without gaps, so that a walk between two digits passes over digits, and
N(0, I) decodes to digits, blurred as two numbers must leave them.

python -m launch.plot all --workdir=runs/mnist_vae --out=out/mnist_vae
"""

from configs import base, mnist_ae


def get_config(variant: str = ""):
    config = mnist_ae.get_config()
    config.autoencoder.kl_weight = 1.0
    return base.variant(config, variant, shape=(28, 28, 1), num_classes=10)
