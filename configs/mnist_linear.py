"""The linear-mix model from scratch: MNIST's 1, 8 and 4 mixed with uniform noise.

TFDS_DATA_DIR=... python -m launch.train --config=configs/mnist_linear.py \
    --workdir=runs/mnist_linear

Five epochs of 18,435 images; two to four minutes on two CPU cores. The network gets
neither time nor label, predicts x0, and sampling starts from uniform noise.

Four improvements, each alone and all together, beside this config: another noise
schedule; a U-Net with the time as its input, of fewer parameters; the absolute error as
the loss; a solver that uses the prediction before. Distances are in the features of a
classifier of all ten digits. About 20 minutes on two CPU cores, with the classifier:

python -m launch.train --config=configs/fashion_features.py \
    --config.data.dataset=mnist --config.data.flip=False --config.train.num_steps=500 \
    --workdir=runs/mnist_features
N="model.name=unet model.channels=10 model.multipliers=(1,2,4) model.num_blocks=1"
python -m launch.sweep --config=configs/mnist_linear.py --out=runs/improvements \
    --change "schedule: diffusion.schedule=cosine" --change "network: $N" \
    --change "loss: diffusion.distance=mae" \
    --change "sampler: sampler.solver=dpmpp_2m" \
    --change "all four: diffusion.schedule=cosine $N diffusion.distance=mae \
              sampler.solver=dpmpp_2m" \
    --features=runs/mnist_features --metrics=frechet,kid,precision,density,inception \
    --num_real=5000 --figure=frechet,kid,density

1,000 samples of one seed, Frechet distance and KID: base 231 and .42, schedule 228 and
.59, network 168 and .54, loss 313 and .53, sampler 241 and .43 (no difference at 40
steps), all four 55 and .12: together they are worth more than each alone.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.data.update(
        {"name": "tfds", "dataset": "mnist", "labels": (1, 8, 4), "low": 0.0}
    )
    config.model.name = "basic_unet"
    config.diffusion.update(
        {
            "schedule": "linear_mix",
            "prediction": "x0",
            "noise": "uniform",
            "condition": "none",
        }
    )
    config.train.update(
        {
            "batch_size": 128,
            "num_steps": 720,  # five epochs of 144
            "cpu_devices": 2,
            "optimizer": "adam",
            "lr": "constant(peak=1e-3)",
            # none, as published: with averages, so short a run makes fewer eights
            "ema": "constant(decay=0.0)",
            "log_every": 12,
            "sample_every": 144,
            "checkpoint_every": 144,
            "num_preview": 64,
        }
    )
    config.sampler.update({"num_steps": 40, "clip": False, "batch_size": 64})
    return base.variant(
        config,
        variant,
        synthetic={"shape": (28, 28, 1), "num_classes": 3},
        smoke={},
    )
