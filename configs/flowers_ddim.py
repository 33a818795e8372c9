"""The Keras-style DDIM: 64x64 colour images without labels, in a few sampling steps.

TFDS_DATA_DIR=... python -m launch.train --config=configs/flowers_ddim.py \
    --workdir=runs/flowers_ddim

5,100 steps of 64 images (50 passes over 6,551 flowers): minutes on a GPU, most of a day
on two CPU cores. The model learns to separate a noisy image into image and noise (angle
schedule, eps, mean absolute error). `python -m launch.plot steps` then shows one noise
sampled in 1, 10 and 80 steps: a blot, then a picture, then the same picture in detail.

The Keras example measures samples of 5 steps in training, and shows samples of 20. For
the same, add --config.train.evaluate_steps=5 to --config.train.evaluate_every and
--config.train.features.

For a folder of pictures of any size, with their own mean and deviation, measured once:

python -m launch.train --config=configs/flowers_ddim.py --workdir=runs/pictures \
    --config.data.name=folder --config.data.path=PICTURES \
    --config.data.mean='()' --config.data.std='()'

For two CPU cores --config.data.size=32 --config.train.batch_size=32
--config.train.num_steps=1000 --config.train.cpu_devices=2
--config.train.ema='warmup(decay=0.999)'. On a folder of 1,906 emoji this takes some
twenty minutes and gives coloured things on white. (A constant decay of .999, as
published, would keep a third of the initial parameters after 1,000 steps; after 5,100
it keeps none.)

Source: Keras example "Denoising Diffusion Implicit Models" (A. Béres, 2022). Its batch
norm without affine map is a group norm without one here: as many parameters, 1,950,627,
and an image's output does not depend on its batch.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update(
        {
            "name": "tfds",
            "dataset": "oxford_flowers102",
            "split": "train[:80%]+validation[:80%]+test[:80%]",
            "size": 64,
            "standardise": True,
            "mean": (0.4705, 0.3943, 0.3033),
            "std": (0.2892, 0.2364, 0.2680),
        }
    )
    config.model.update(
        {
            "name": "residual_unet",
            "channels": 32,
            "multipliers": (1, 2, 3, 4),
            "num_blocks": 2,
        }
    )
    config.diffusion.update(
        {
            "schedule": "angle(min_signal_rate=0.02, max_signal_rate=0.95)",
            "prediction": "eps",
            "distance": "mae",
            "stratified": False,
            "time_feature": "variance",
            "condition": "none",
        }
    )
    config.train.update(
        {
            "batch_size": 64,
            "num_steps": 5100,
            "optimizer": "adamw(weight_decay=1e-4)",
            "lr": "constant(peak=1e-3)",
            "ema": "constant(decay=0.999)",
            "log_every": 102,
            "sample_every": 1020,
            "checkpoint_every": 1020,
            "num_preview": 18,
        }
    )
    # the example clips only what it shows
    config.sampler.update({"num_steps": 20, "clip": False, "batch_size": 64})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (64, 64, 3)},
        smoke={"data.shape": (16, 16, 3), **base.SMALL},
    )
