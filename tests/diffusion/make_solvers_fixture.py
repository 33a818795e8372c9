"""Runs diffusers' schedulers of higher order and writes solvers.npz beside this file.

    pip install torch diffusers scipy;  python tests/diffusion/make_solvers_fixture.py

Each array <name> holds x after every step, f64[n + 1, 2, 3], x_T first, of variance one
also where the scheduler's is not; `noise` the draws z of each step; "table ..." their
alpha_bar, f32[1000]. The steps begin at
ENTRIES of the table and end at 0. The model is sin(x (1 + i / 500)), with x of variance
one. Written with diffusers 0.42.1 and torch 2.13.0.
"""

import importlib
import pathlib

import diffusers
import numpy as np
import torch

STEPS = 8
ENTRIES = [999, 874, 749, 624, 499, 374, 249, 124]  # "trailing"
LINEAR = {
    "timestep_spacing": "trailing",
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "beta_end": 0.02,
}
SCALED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
V = {"prediction_type": "v_prediction"}
PLMS = {"skip_prk_steps": True, "set_alpha_to_one": True}
DPM, SDE = "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}
UNIPC, DEIS = "UniPCMultistepScheduler", "DEISMultistepScheduler"
ONE, TWO = [1] * STEPS, [2] * (STEPS - 1) + [1]

# name -> scheduler, its options, calls of each step, whether its x is that of alpha = 1
CASES = {
    "euler": ("EulerDiscreteScheduler", {}, ONE, True),
    "euler v scaled": ("EulerDiscreteScheduler", {**SCALED, **V}, ONE, True),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}, ONE, True),
    "euler_ancestral cosine": ("EulerAncestralDiscreteScheduler", COSINE, ONE, True),
    "heun": ("HeunDiscreteScheduler", {}, TWO, True),
    "heun v scaled": ("HeunDiscreteScheduler", {**SCALED, **V}, TWO, True),
    "dpm2": ("KDPM2DiscreteScheduler", {}, TWO, True),
    "dpm2 v scaled": ("KDPM2DiscreteScheduler", {**SCALED, **V}, TWO, True),
    "lms": ("LMSDiscreteScheduler", {}, ONE, True),
    "lms cosine": ("LMSDiscreteScheduler", COSINE, ONE, True),
    "plms": ("PNDMScheduler", PLMS, [2, *ONE[1:]], False),
    "plms v scaled": ("PNDMScheduler", {**PLMS, **SCALED, **V}, [2, *ONE[1:]], False),
    "deis": (DEIS, {"solver_order": 3}, ONE, False),
    "deis v scaled": (DEIS, {"solver_order": 3, **SCALED, **V}, ONE, False),
    "dpmpp_2m": (DPM, {}, ONE, False),
    "dpmpp_2m v scaled": (DPM, {**SCALED, **V}, ONE, False),
    "dpmpp_2m cosine": (DPM, COSINE, ONE, False),
    "dpmpp_2m_sde": (DPM, SDE, ONE, False),
    "dpmpp_2m_sde v scaled": (DPM, {**SDE, **SCALED, **V}, ONE, False),
    "dpmpp_3m": (DPM, {"solver_order": 3}, ONE, False),
    "unipc": (UNIPC, {"solver_order": 2}, ONE, False),
    "unipc v scaled": (UNIPC, {"solver_order": 2, **SCALED, **V}, ONE, False),
    "unipc cosine": (UNIPC, {"solver_order": 2, **COSINE}, ONE, False),
}


def options_of(name):
    return CASES[name][1].get("beta_schedule", "linear")


def model(x, i):
    return torch.sin(x * (1 + i / 500))


def run(name, x, noise):
    kind, options, calls, unit_alpha = CASES[name]
    scheduler = getattr(diffusers, kind)(**{**LINEAR, **options})
    module = importlib.import_module(type(scheduler).__module__)
    draws = iter(noise)
    module.randn_tensor = lambda *_, **__: next(draws)
    scheduler.set_timesteps(STEPS)
    bars = scheduler.alphas_cumprod.double()[ENTRIES]
    sizes = [*(bars**-0.5 if unit_alpha else torch.ones(STEPS)), 1.0]
    sample, path, entries = x * sizes[0], [x], iter(scheduler.timesteps)
    for k, count in enumerate(calls):
        for _ in range(count):
            i = next(entries)
            out = model(scheduler.scale_model_input(sample, i), float(i))
            sample = scheduler.step(out, i, sample).prev_sample
        path.append(sample / sizes[k + 1])
    assert not list(entries), name
    return torch.stack(path).numpy(), scheduler.alphas_cumprod.numpy()


def main():
    torch.manual_seed(0)
    x = torch.randn(2, 3, dtype=torch.float64)
    noise = torch.randn(STEPS, 2, 3, dtype=torch.float64)
    arrays = {"noise": noise.numpy()}
    for name in CASES:
        arrays[name], table = run(name, x, noise)
        arrays[f"table {options_of(name)}"] = table
    np.savez_compressed(pathlib.Path(__file__).parent / "solvers.npz", **arrays)


if __name__ == "__main__":
    main()
