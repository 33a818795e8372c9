"""DDIM and DDPM against diffusers' schedulers, every value of every step.

diffusers.npz is written by make_diffusers_fixture.py, which lists its contents. Their
tables are float32: sums of 1000 logs of alphas near 1 are off by up to 1e-5, which is
what the tolerance of 1e-4 allows for.
"""

import pathlib

import chex
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdiff.diffusion import grids, predictions, schedules
from jaxdiff.diffusion.denoisers import clip, clip_x0_only, make_denoise
from jaxdiff.diffusion.inputs import index
from jaxdiff.diffusion.solvers import ddim, ddpm

PATHS = dict(np.load(pathlib.Path(__file__).parents[1] / "diffusers.npz"))
NOISE = PATHS.pop("noise")


def network(x_t, c, cond):
    i = index(1000)(c)[:, None]
    out = jnp.sin(x_t * (1 + i / 500))
    return jnp.concatenate([out, jnp.cos(3 * x_t)], axis=-1) if cond else out


def walk(solver, denoise, ts, x):
    path, state = [x], solver.init(x)
    for t, s, z in zip(ts[:-1], ts[1:], NOISE, strict=True):
        x, state = solver.step(denoise, lambda z=z: jnp.asarray(z), x, t, s, state)
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_diffusers(x64, name):
    family, _, option = name.partition("_")
    if option == "scaled_linear":
        schedule = schedules.scaled_linear_beta(1000, 0.0001, 0.02)
    elif option == "squaredcos_cap_v2":
        schedule = schedules.cosine_beta()
    else:
        schedule = schedules.linear_beta()
    predicted = option.removeprefix("clipped_")
    target = {"v_prediction": "v", "sample": "x0"}.get(predicted, "eps")
    learned = option == "learned_range"
    denoiser = make_denoise(
        Partial(network),
        schedule=schedule,
        prediction=getattr(predictions, target)(),
        learned_variance=learned,
    )
    if family == "ddpm":
        denoiser = clip(denoiser)
        solver = ddpm.make(schedule, variance=option.split("_")[0 if learned else 1])
    else:
        clipped = option.startswith("clipped")
        denoiser = clip_x0_only(denoiser, schedule) if clipped else denoiser
        etas = {"leading": 0.0, "trailing": 0.0}
        solver = ddim.make(schedule, eta=etas.get(option, 0.6 if clipped else 1.0))
    spacing = option if option == "trailing" else "leading"
    ts = jnp.asarray(grids.discrete(schedule, len(NOISE), spacing=spacing))
    expected = PATHS[name]
    got = walk(
        solver, lambda x, t: denoiser(x, t, learned), ts, jnp.asarray(expected[0])
    )
    assert np.abs(expected).max() > 0.5
    chex.assert_trees_all_close(got, expected, rtol=1e-4, atol=1e-4)
