"""Writes the workdirs of this folder, with the code that they are to be kept from.

    cd CHECKOUT && python .../tests/workdirs/make_workdirs.py OUT [NAME ...]

They were written by commit 60ec9ed, the last before fields had a table of old names, on
one CPU device with JAX 0.10.2. They are not to be made again: tests/runs/
test_old_workdirs.py samples, evaluates and resumes them with whatever the code is now,
and compares with samples.npz, which that commit drew. A later schema or checkpoint adds
workdirs of its own.

Every number of a checkpoint is cut to a few bits, most of the largest network's are
zero, and pictures and TensorBoard's files are left out: so all are 2 MB.
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, os.getcwd())

import jax
import numpy as np

from configs import base
from jaxdiff.runs import sample, train, trained, workdir
from jaxdiff.train import checkpoint

UNET = {"model.name": "unet", "model.multipliers": (1,), "model.num_blocks": 1}
UNET["model.channels"] = 8
RESIDUAL = {**UNET, "model.name": "residual_unet", "diffusion.condition": "none"}
MLP = {"model.name": "mlp", "model.hidden": 8, "model.num_blocks": 1}
BLOBS = {"data.name": "synthetic", "data.shape": (8, 8, 1), "data.num_classes": 3}
BLOBS["data.num_examples"] = 24
DIGITS = {
    "data.name": "digits",
    "data.flip": True,
    "diffusion.schedule": "cosine_beta",
    "diffusion.times": "discrete(num_steps=1000)",
}
AUTOENCODER = {
    **BLOBS,
    "task": "autoencoder",
    "model.name": "autoencoder",
    "model.channels": 8,
    "model.multipliers": (1, 1),
    "model.num_blocks": 1,
}

# In this order: later ones name earlier ones.
RUNS = {
    "mlp": {
        **MLP,
        "data.name": "iris",
        "diffusion.schedule": "sigmoid(gain=6.0, shift=0.5, stop=0.99996)",
        "diffusion.prediction": "eps",
        "diffusion.time_feature": "time",
        "diffusion.condition": "none",
        "train.optimizer": "adamw(weight_decay=0.01)",
        "sampler.solver": "ddpm",
        "sampler.clip": False,
        "sampler.known": "regress(ridge=0.1)",
    },
    "residual_unet": {
        **BLOBS,
        "data.shape": (8, 8, 3),
        "data.standardise": True,
        **RESIDUAL,
        "diffusion.schedule": "angle(min_signal_rate=0.02, max_signal_rate=0.95)",
        "diffusion.prediction": "eps",
        "diffusion.distance": "mae",
        "diffusion.time_feature": "variance",
        "sampler.clip": False,
    },
    "basic_unet": {
        **BLOBS,
        "data.low": 0.0,
        "model.name": "basic_unet",
        "diffusion.schedule": "linear_mix",
        "diffusion.prediction": "x0",
        "diffusion.noise": "uniform",
        "diffusion.condition": "none",
        "train.ema": "constant(decay=0.0)",
        "train.lr": "constant(peak=1e-3)",
        "sampler.clip": False,
    },
    "classifier": {
        **UNET,
        **DIGITS,
        "task": "classifier",
        "model.name": "classifier",
        "model.attention": (8,),
    },
    "unet": {
        **UNET,
        **DIGITS,
        "model.attention": (8,),
        "model.dropout": 0.1,
        "diffusion.prediction": "eps",
        "diffusion.learned_variance": True,
        "train.evaluate_every": 4,
        "train.num_evaluate": 8,
        "train.judge": "classifier",
        "sampler.solver": 'ddpm(variance="learned")',
        "sampler.grid": "discrete",
        "sampler.guidance": 2.0,
        "sampler.classifier": "classifier",
        "sampler.classifier_scale": 3.0,
    },
    "plain": {
        **AUTOENCODER,
        "model.latent_size": 2,
        "model.latent_channels": 0,
        "autoencoder.kl_weight": 0.0,
    },
    "variational": {
        **AUTOENCODER,
        "model.latent_channels": 2,
        "autoencoder.kl_weight": 1e-6,
    },
    "latents": {
        **UNET,
        "data.name": "latents",
        "data.path": "variational",
        "data.standardise": True,
        "sampler.clip": False,
    },
    "base": {**BLOBS, **UNET, "data.shape": (4, 4, 1)},
    "upsampler": {
        **BLOBS,
        **UNET,
        "diffusion.low_size": 4,
        "diffusion.augment": 0.3,
        "sampler.base": "base",
        "sampler.augment": 0.1,
    },
    "wide": {
        **MLP,
        "data.name": "synthetic",
        "data.shape": (2,),
        "data.num_classes": 2,
        "train.ema_widths": (0.05, 0.1),
        "train.snapshot_every": 2,
        "sampler.ema": 0.07,
        "sampler.clip": False,
    },
}
COMMON = {
    "train.batch_size": 4,
    "train.num_steps": 4,
    "train.lr": "constant(peak=1e-2)",
    "train.log_every": 2,
    "train.checkpoint_every": 4,
    "train.keep_last": 1,
    "train.num_preview": 4,
    "sampler.num_steps": 4,
    "sampler.batch_size": 4,
}
# Of the 23 bits of a mantissa; of the large network also one weight in so many.
BITS, EVERY = 2, {"basic_unet": 16}


def cut(a, every):
    """f32 with fewer bits, and zero but for every so many values."""
    a = np.asarray(a)
    if a.dtype != np.float32:
        return a
    mask = np.uint32((0xFFFFFFFF << (23 - BITS)) & 0xFFFFFFFF)
    a = (a.view(np.uint32) & mask).view(np.float32)
    kept = (np.arange(a.size) % every == 0) | (a.ndim < 2)
    return np.where(kept.reshape(a.shape), a, np.float32(0))


def write(name):
    folder, config = Path(name), base.get_config()
    config.update_from_flattened_dict({**COMMON, **RUNS[name]})
    state = jax.device_get(train.run(train.prepare(config, folder)))
    state = jax.tree.map(lambda a: cut(a, EVERY.get(name, 1)), state)
    checkpoints = folder / workdir.CHECKPOINTS
    shutil.rmtree(checkpoints)
    with checkpoint.open_manager(checkpoints, keep_last=1) as manager:
        checkpoint.save(manager, state)
    np.savez_compressed(folder / "samples.npz", **drawn(folder))


def drawn(folder):
    """What the run makes: samples, or logits, or images decoded again."""
    config = workdir.load_config(folder)
    run = trained.load(folder, config)
    if run.task.kind == "denoiser":
        request = {"num": 4, "seed": 0, "label": None, "png": False, "force": True}
        out = folder / "out"
        x = sample.run(sample.prepare(folder, config, out=out, **request))
        shutil.rmtree(out)
        return {"x": x}  # in model units
    model, x = run.task.model(run.params), run.source[np.arange(4)]["x"]
    if run.task.kind == "classifier":
        return {"logits": model.logits(x, np.float32(0.3))}
    mean, _ = model.encode(x)
    return {"codes": mean, "decoded": model.decode(mean)}


def main():
    out, *names = sys.argv[1:]
    os.chdir(out)
    for name in names or RUNS:
        write(name)
        for picture in Path(name).glob("*.png"):
            picture.unlink()
        for folder in ("tensorboard", "samples", "references"):
            shutil.rmtree(Path(name) / folder, ignore_errors=True)


if __name__ == "__main__":
    main()
