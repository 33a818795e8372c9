"""U-Nets that are timed beside other projects' programs, on made-up images.

python -m launch.bench step --config=configs/bench.py --against=diffusers \
    --peer_python=PYTHON

`bench` has images of 28x28 in batches of 64 and 1.7 M parameters, `bench:small` 8x8 in
batches of 128 and 1.0 M, as many as a UNet2DModel of the same layers. In place of
`step` also `forward`, an evaluation, and `sample`, 50 steps of DDIM. The other cases:

python -m launch.bench step --config=cifar10_ddpm:synthetic --against=diffusers \
    --config.train.batch_size=4 --config.model.norm_groups=32
python -m launch.bench step --config=mnist_linear:synthetic --against=torch
python -m launch.bench sample --config=mnist_linear:synthetic --against=torch \
    --config.sampler.num_steps=40 --config.sampler.batch_size=64
python -m launch.bench step --config=fashion_ddim:synthetic --against=keras
python -m launch.bench iris --config=iris --peer_python=PYTHON

On a GPU PyTorch's networks are compiled, and compute in bfloat16 where ours does (with
XLA_PYTHON_CLIENT_PREALLOCATE=false both fit into its memory):

python -m launch.bench step --config=cifar10_ddpm:synthetic --against=diffusers \
    --config.model.dtype=bfloat16 --config.model.norm_groups=32 --peer_python=PYTHON
python -m launch.bench sample --config=cifar10_ddpm:synthetic --against=diffusers \
    --config.model.dtype=bfloat16 --config.model.norm_groups=32 --peer_python=PYTHON \
    --config.sampler.solver=ddim --config.sampler.num_steps=50
python -m launch.bench step --config=imagenet64_adm:synthetic \
    --config.train.batch_size=64

What a step costs as the network and its work grow (a picture; 10 minutes):

python -m launch.bench step --config=bench --out=out/growth \
    --over train.batch_size=16,32,64,128 --over model.channels=16,32,64 \
    --over "data.shape=(16,16,1),(28,28,1),(56,56,1)" --over model.num_blocks=1,2,4 \
    --over train.cpu_devices=1,2
python -m launch.bench sample --config=bench --out=out/growth_of_sampling \
    --over sampler.num_steps=5,10,20,50 --over sampler.batch_size=1,4,16,64
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    small = variant == "small"
    config.data.update({"name": "synthetic", "num_examples": 1024, "num_classes": 0})
    config.data.shape = (8, 8, 1) if small else (28, 28, 1)
    config.model.update(
        {
            "channels": 32,
            "multipliers": (1, 2) if small else (1, 2, 2),
            "num_blocks": 2,
            "norm_groups": 8,  # a UNet2DModel has one number for all norms
        }
    )
    config.diffusion.update({"condition": "none", "prediction": "eps"})
    config.train.update(
        {
            "batch_size": 128 if small else 64,
            "num_steps": 1000,
            "cpu_devices": 2,
            "optimizer": "adam",
            "clip_norm": 1.0,
        }
    )
    config.sampler.batch_size = 64
    return base.variant(
        config,
        "" if small else variant,
        synthetic={"shape": config.data.shape, "num_examples": 1024},
        smoke={"data.shape": (8, 8, 1), **base.SMALL_UNET},
    )
