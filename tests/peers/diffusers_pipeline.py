"""What diffusers itself makes of a folder that jaxdiff wrote: the same as jaxdiff?

python tests/peers/diffusers_pipeline.py FOLDER OUT.npz     (needs torch and diffusers)
python tests/peers/diffusers_pipeline.py OUT.npz WORKDIR    (with jaxdiff)

The first opens FOLDER by from_pretrained and runs its pipeline for 50 steps; with
labels, its network and its scheduler, once without and once with guidance of scale 2.
An autoencoder encodes and decodes noise. The second repeats it with the run.
"""

import sys
from pathlib import Path

import numpy as np

NUM, STEPS, SCALE = 64, 50, 2.0


def nhwc(a):
    return a.numpy().transpose(0, 2, 3, 1)


def theirs(folder: Path, out: Path) -> None:
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
    print(
        type(pipe).__name__, {k: type(v).__name__ for k, v in pipe.components.items()}
    )
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


def levels(x: np.ndarray) -> np.ndarray:
    """Grey levels from 0 to 255, as numpy_to_pil of diffusers rounds them."""
    return (np.clip(x / 2 + 0.5, 0, 1) * 255).round().astype(int)


def ours(stored: Path, workdir: Path) -> None:
    from jaxdiff.runs.experiment import open_run

    arrays, run = dict(np.load(stored)), open_run(workdir)
    noise, index = arrays["noise"], np.arange(NUM)
    if run.config.task == "autoencoder":
        z = run.model.encode(noise)[0]
        report("codes", np.asarray(z), arrays["codes"])
        report("images", np.asarray(run.model.decode(z)), arrays["images"])
        return
    cond = arrays["labels"].astype(np.int32) if "labels" in arrays else None
    for name, scale in (("images", 1.0), ("guided", SCALE)):
        if name not in arrays:
            continue
        how = {"solver": "ddim", "grid": "discrete", "num_steps": STEPS}
        other = run.with_sampler(**how, guidance=scale)
        x = other.sampler().draw(other.params, 0, index, cond, x_T=noise)
        if run.config.data.name == "latents":
            x = run.source.decode(np.asarray(x)) / run.source.peak * 2 - 1
        report(name, np.asarray(x), arrays[name])


def report(name: str, x: np.ndarray, y: np.ndarray) -> None:
    error = np.abs(np.clip(x, -1, 1) - np.clip(y, -1, 1)) if name != "codes" else x - y
    apart = np.abs(levels(x) - levels(y))
    print(
        f"{name}: at most {np.abs(error).max():.2g} apart, deviation {y.std():.3g}; "
        f"grey levels equal in {100 * (apart == 0).mean():.3f} % of {apart.size:,} "
        f"values, within one in {100 * (apart <= 1).mean():.3f} %"
    )


if __name__ == "__main__":
    first, second = map(Path, sys.argv[1:])
    (ours if first.suffix == ".npz" else theirs)(first, second)
