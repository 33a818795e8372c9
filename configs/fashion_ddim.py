"""The Keras-style DDIM on 28x28 grey clothes, small enough for a CPU.

TFDS_DATA_DIR=... python -m launch.train --config=configs/fashion_ddim.py \
    --workdir=runs/fashion_ddim

1,500 steps of 64 images on two CPU cores: about seven minutes if nothing else runs.
Outlines of shirts, boots and trousers appear from step 400 on, still grainy; textures
take longer. `python -m launch.plot steps` shows one noise in 1, 10 and 80 steps: the
first is noise around a blot, and the other two differ only in detail.

The Keras example measures samples of 5 steps in training, and shows samples of 20:
--config.train.evaluate_every=500 --config.train.evaluate_steps=5
--config.train.features=runs/fashion_features
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update({"name": "tfds", "dataset": "fashion_mnist"})
    config.data.standardise = True  # by its own mean and deviation
    config.model.update(
        {
            "name": "residual_unet",
            "channels": 16,
            "multipliers": (1, 2, 4),
            "num_blocks": 1,
        }
    )
    config.diffusion.update(
        {
            "schedule": "angle(min_signal_rate=0.02, max_signal_rate=0.95)",
            "prediction": "eps",
            "distance": "mae",
            "time_feature": "variance",
            "condition": "none",
        }
    )
    config.train.update(
        {
            "batch_size": 64,
            "num_steps": 1500,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=1e-4)",
            "lr": "constant(peak=1e-3)",
            # the example's .999 from the first step would keep a fifth of the start
            "ema": "warmup(decay=0.999)",
            "log_every": 50,
            "sample_every": 500,
            "checkpoint_every": 500,
            "num_preview": 64,
        }
    )
    config.sampler.update({"num_steps": 20, "clip": False, "batch_size": 64})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 10},
        smoke={"data.shape": (8, 8, 1), **base.SMALL},
    )
