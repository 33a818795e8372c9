"""Any folder of pictures: one of class folders, or without classes.

python -m launch.train --config=configs/pictures.py --config.data.path=PICTURES \
    --workdir=runs/pictures

The sizes suit the folder and the machine (the rule: jaxdiff/runs/train/sizes.py):

on two CPU cores   32x32 pixels (16x16 where the pictures are smaller), 32 channels and
                   1,000 steps of 32, some 25 minutes: shapes and colours
on a GPU           64x64 (32 or 16 where they are smaller), 64 channels and 500 passes
                   over the pictures, 5,000 to 50,000 steps of 64: minutes to an hour

They are printed, and stored in config.json, with which the run resumes. A flag sets any
of them: --config.data.size=48 --config.train.num_steps=4000, for example. With class
folders the model is class-conditional, and --config.sampler.guidance=2.0 makes samples
more typical of their class. Of fewer than some 1,000 pictures the model learns to
repeat many: it works for 30 per class, but samples are then like them. Pictures are not
mirrored, which spoils letters and flags; for most photographs --config.data.flip=True
is like twice as many. Transparent parts become white.

Arrays in a file and data sets keep their size: --config.data.name=npz with a path, or
huggingface with a data set.
"""

from configs import base


def get_config(variant: str = ""):
    config = base.get_config()
    config.auto = (
        *("data.size", "model.channels", "model.multipliers"),
        *("train.batch_size", "train.num_steps", "train.sample_every"),
        *("train.checkpoint_every", "train.num_preview"),
    )
    config.data.update({"name": "folder", "size": 32})
    config.model.update({"channels": 32, "multipliers": (1, 2, 2), "num_blocks": 2})
    config.train.update(
        {
            "batch_size": 32,
            "num_steps": 1000,
            "cpu_devices": 2,
            "optimizer": "adamw(weight_decay=0.01)",
            "lr": "cosine(peak=1e-3, warmup=100)",
            "clip_norm": 1.0,
            "log_every": 50,
            "sample_every": 200,
            "checkpoint_every": 200,
            "num_preview": 36,
        }
    )
    return base.variant(
        config,
        variant,
        synthetic={"shape": (32, 32, 3), "num_classes": 0},
        smoke={"data.shape": (16, 16, 3), **base.SMALL_UNET},
    )
