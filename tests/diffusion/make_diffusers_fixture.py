"""Runs diffusers' DDIM and DDPM schedulers and writes diffusers.npz beside this file.

    pip install torch diffusers numpy;  python tests/diffusion/make_diffusers_fixture.py

Each array <name> holds x after every step, f64[n + 1, 2, 3], x_T first; `noise` the
draws z of each step. The model is sin(x (1 + i / 500)) and, for learned variance,
v = cos(3 x). Written with diffusers 0.42.1 and torch 2.13.0.
"""

import pathlib

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm

STEPS = 8


def model(x, i):
    return torch.sin(x * (1 + i / 500))


def run(scheduler, x, noise, step):
    scheduler.set_timesteps(STEPS)
    path = [x]
    for k, i in enumerate(scheduler.timesteps):
        x = step(scheduler, x, int(i), noise[k])
        path.append(x)
    return torch.stack(path).numpy()


def ddim(eta):
    def step(scheduler, x, i, z):
        out = model(x, i)
        return scheduler.step(out, i, x, eta=eta, variance_noise=z).prev_sample

    return step


def ddpm(scheduler, x, i, z):
    out = model(x, i)
    if scheduler.config.variance_type == "learned_range":
        out = torch.cat([out, torch.cos(3 * x)], dim=1)
    scheduling_ddpm.randn_tensor = lambda *_, **__: z
    return scheduler.step(out, i, x).prev_sample


def main():
    torch.manual_seed(0)
    x = torch.randn(2, 3, dtype=torch.float64)
    noise = torch.randn(STEPS, 2, 3, dtype=torch.float64)
    arrays = {"noise": noise.numpy()}
    for spacing in ("leading", "trailing"):
        scheduler = DDIMScheduler(clip_sample=False, timestep_spacing=spacing)
        arrays[f"ddim_{spacing}"] = run(scheduler, x, noise, ddim(0.0))
    for prediction in ("epsilon", "v_prediction", "sample"):
        scheduler = DDIMScheduler(clip_sample=True, prediction_type=prediction)
        arrays[f"ddim_clipped_{prediction}"] = run(scheduler, x, noise, ddim(0.6))
    for schedule in ("linear", "scaled_linear", "squaredcos_cap_v2"):
        scheduler = DDIMScheduler(clip_sample=False, beta_schedule=schedule)
        arrays[f"ddim_{schedule}"] = run(scheduler, x, noise, ddim(1.0))
    for variance in ("fixed_small", "fixed_large", "learned_range"):
        scheduler = DDPMScheduler(clip_sample=True, variance_type=variance)
        arrays[f"ddpm_{variance}"] = run(scheduler, x, noise, ddpm)
    np.savez_compressed(pathlib.Path(__file__).parent / "diffusers.npz", **arrays)


if __name__ == "__main__":
    main()
