"""A small ADM on Fashion-MNIST: class-conditional, hybrid loss with learned variance.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_adm.py \
    --workdir=runs/fashion_adm

10,000 steps of 128 images: minutes on one GPU, half a day on two CPU cores. There,
--config.train.num_steps=2500 --config.train.batch_size=64 gives recognisable clothes in
some 75 minutes. A tenth of the labels are dropped, so the model can be sampled with its
label, without it, and with a classifier as a guide (configs/fashion_classifier.py).

It is sampled by ancestral steps, like ADM. After little training, the model turns some
noises into black and white specks at alpha = .03. Solvers without noise keep these;
ancestral noise removes them.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update({"name": "tfds", "dataset": "fashion_mnist"})
    config.model.update(
        {
            "channels": 32,
            "multipliers": (1, 2, 2),
            "num_blocks": 1,
            "attention": (7,),
            "num_heads": 0,
            "head_channels": 32,
            "resblock_updown": True,
            "time_embedding": "cos_sin",
        }
    )
    config.diffusion.update(
        {
            "schedule": "cosine_beta",
            "prediction": "eps",
            "times": "discrete(num_steps=1000)",
            "learned_variance": True,
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 10_000,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.0)",
            "lr": "cosine(peak=1e-3, warmup=200)",
            "clip_norm": 1.0,
            "sample_every": 1000,
        }
    )
    config.sampler.update(
        {
            "solver": 'ddpm(variance="learned")',
            "num_steps": 50,
            "grid": "discrete",
            "batch_size": 250,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 10},
        smoke={"data.shape": (12, 12, 1), **base.SMALL_UNET},
    )
