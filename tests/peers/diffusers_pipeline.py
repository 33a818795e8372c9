"""What diffusers makes of a folder that jaxdiff wrote; needs torch and diffusers.

python tests/peers/diffusers_pipeline.py FOLDER OUT.npz

It opens FOLDER by from_pretrained and runs its pipeline for 50 steps; with labels, its
network and its scheduler, once without and once with guidance of scale 2. An
autoencoder encodes and decodes noise. `python -m tests.interop.beside_diffusers OUT.npz
WORKDIR` then repeats it with the run.
"""

import json
import sys
from pathlib import Path

import numpy as np

NUM, STEPS, SCALE = 64, 50, 2.0


def nhwc(a):
    return a.numpy().transpose(0, 2, 3, 1)


def main(folder: Path, out: Path) -> None:
    import torch
    from diffusers import AutoencoderKL, DiffusionPipeline

    torch.set_grad_enabled(False)
    rng = torch.Generator().manual_seed
    if not (folder / "model_index.json").exists():
        coder = AutoencoderKL.from_pretrained(folder)
        size = coder.config.sample_size
        x = torch.rand(NUM, coder.config.in_channels, size, size, generator=rng(0))
        z = coder.encode(2 * x - 1).latent_dist.mean
        images = coder.decode(z).sample
        np.savez(out, noise=nhwc(2 * x - 1), codes=nhwc(z), images=nhwc(images))
        return
    pipe = DiffusionPipeline.from_pretrained(folder)
    parts = {k: type(v).__name__ for k, v in pipe.components.items()}
    print(json.dumps({"pipeline": type(pipe).__name__, **parts}))
    unet, size = pipe.unet, pipe.unet.config.sample_size
    noise = torch.randn(NUM, unet.config.in_channels, size, size, generator=rng(0))
    arrays = {"noise": nhwc(noise)}
    rows = unet.config.num_class_embeds
    if not rows:
        plain = {"num_inference_steps": STEPS, "output_type": "np"}
        ldm = "vqvae" in pipe.components
        more = {} if ldm else {"use_clipped_model_output": True}
        images = pipe(batch_size=NUM, generator=rng(0), **plain, **more).images
        np.savez(out, **arrays, images=2 * images - 1)
        return
    labels, none = torch.arange(NUM) % (rows - 1), torch.full((NUM,), rows - 1)
    pipe.scheduler.set_timesteps(STEPS)
    for name, scale in (("images", 1.0), ("guided", SCALE)):
        x = noise
        for t in pipe.scheduler.timesteps:
            without = unet(x, t, class_labels=none).sample
            guided = without + scale * (
                unet(x, t, class_labels=labels).sample - without
            )
            how = {"use_clipped_model_output": True}
            x = pipe.scheduler.step(guided, t, x, **how).prev_sample
        arrays[name] = nhwc(x.clamp(-1, 1))
    np.savez(out, **arrays, labels=labels.numpy())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
