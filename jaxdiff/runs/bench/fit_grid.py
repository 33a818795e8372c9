"""Fitting the step grid of a trained model: `jax.jacfwd` through the sampler.

(1)  t_i = 1 - (w_0 + ... + w_i),  w = softmax(z) of n + 1 shares;  t_n = 0
(2)  loss(z) = mean |x(z) - x*|^2,  x the sample down the times of z, x* the end of the
     path of the same noise, down many even steps by Heun's method

A few steps cannot follow the path; they can end near where it ends. z begins at the
best of the known grids, and quasi-Newton steps (L-BFGS) lower the loss over a fixed
set of paths. The result is measured on others.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from scipy import optimize
from tqdm import tqdm

from jaxdiff import rng
from jaxdiff.arrays import Array, PyTree, require
from jaxdiff.choices import members
from jaxdiff.diffusion import grids, inversion, sampling
from jaxdiff.diffusion.solvers import heun
from jaxdiff.plots import curves, pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.batched import Shared
from jaxdiff.runs.experiment import Experiment, open_run

# Heun steps of the path: its error is far below that of a sample in 10 steps.
PATH_STEPS = 100
MAX_ITERATIONS = 60
# What every share is at least, so that a grid falls strictly in float32.
LEAST = 1e-5
# Images in a row of the picture, and the grids that it compares.
SHOWN = 10
COMPARED = ("uniform", "karras", "fitted")


class GridRequest(NamedTuple):
    """A checked request of launch.fit_grid: see `prepare`."""

    run: Experiment
    shared: Shared
    steps: Sequence[int]
    num: int
    seed: int
    out: Path


class Paths(NamedTuple):
    """n paths from noise to data.

    keys: key[n], of their noise.  cond: leads with [n], or None
    ends: f32[n, *shape]
    """

    keys: Array
    cond: PyTree
    ends: Array


def prepare(
    workdir: Path,
    config: ConfigDict,
    *,
    out: Path,
    steps: Sequence[int],
    num: int,
    seed: int,
    force: bool,
) -> GridRequest:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(num >= 1, f"--num must be at least 1, got {num}")
    require(
        steps and min(steps) >= 1 and len(set(steps)) == len(steps),
        f"--steps must be different numbers from 1, as in --steps=5,10, got {steps}",
    )
    files.check_out(out, force)
    run = open_run(workdir, config)
    require(
        not run.is_upsampler,
        "a grid is fitted to a model that makes images by itself, not to an upsampler",
    )
    shared = run.sampler().shared(run.params)
    require(
        not inversion.draws_noise(
            shared.solver, shared.schedule, np.asarray(shared.ts)
        ),
        f"sampler.solver={config.sampler.solver!r} draws noise at its steps, so that "
        "its samples do not end where the path does; use one that draws none, such as "
        "ddim or dpmpp_2m",
    )
    return GridRequest(run, shared, steps, num, seed, out)


def run(request: GridRequest) -> list[dict[str, Any]]:
    """Fit a grid for each number of steps; print, draw and give the errors of all.

    Returns: one row a grid and number of steps: name, steps, NFE, times, and the error
    on paths that nothing was fitted to, RMS per value in model units. Writes them to
    grids.json, grids.png, samples.png, and grids.txt, the options that use the result.
    """
    shared, num, out = request.shared, request.num, request.out
    out.mkdir(parents=True, exist_ok=True)
    known, new = (make_paths(request, np.arange(num) + k * num) for k in (0, 1))
    spread = np.linspace(0, num - 1, min(num, SHOWN)).astype(int)  # of all classes
    shown = jax.tree.map(lambda a: a[spread], new)
    rows, options, strips = [], [], {}
    for n in request.steps:
        tried = known_grids(shared, n)
        errors = {name: error(shared, ts, known) for name, ts in tried.items()}
        best = min(errors, key=errors.__getitem__)
        tried["fitted"] = fit(shared, tried[best], known)
        nfe = sampling.count_nfe(shared.solver, jnp.asarray(tried["fitted"]))
        for name, ts in tried.items():
            row = {"grid": name, "steps": n, "nfe": nfe}
            rows.append({**row, "error": error(shared, ts, new), "times": ts.tolist()})
        options.append(as_options(tried["fitted"]))
        for name in COMPARED:
            strips[f"{name}, {n} steps"] = sample(shared, tried[name], shown)
    strips["end of the path"] = shown.ends
    print(*options, sep="\n")
    (out / "grids.txt").write_text("\n".join(options) + "\n")
    (out / "grids.json").write_text(json.dumps(rows, indent=2) + "\n")
    curves.save_grids(out / "grids.png", rows)
    if request.run.source.is_image:
        pixels = {name: request.run.pixels(x) for name, x in strips.items()}
        pictures.save_rows(out / "samples.png", pixels, group=len(COMPARED))
    return rows


def as_options(ts: np.ndarray) -> str:
    """The options of launch.sample that sample down these times f[n + 1]."""
    times = " ".join(f"{t:.6g}" for t in ts)
    return (
        f"--config.sampler.num_steps={len(ts) - 1} "
        f"--config.sampler.grid=\"written(times='{times}')\""
    )


def known_grids(shared: Shared, num_steps: int) -> dict[str, np.ndarray]:
    """Every grid of grids.py, by its defaults, that there is of so many steps."""
    made = {}
    for name, make in members(grids).items():
        if name != "written":
            try:
                made[name] = make(shared.schedule, num_steps)
            except ValueError:  # no such grid of so few or many steps
                print(f"{name} has none of {num_steps} steps; left out")
    return made


def make_paths(request: GridRequest, index: np.ndarray) -> Paths:
    """The paths of those numbers i64[n]; their ends are sampled finely."""
    run, shared = request.run, request.shared
    keys = rng.split_by(jax.random.key(request.seed), jnp.asarray(index))
    cond = jax.tree.map(jnp.asarray, run.conditions(len(index)))
    paths = Paths(keys, cond, jnp.zeros((len(index), *run.source.shape)))
    fine = shared._replace(solver=heun.make(shared.schedule))
    ts = grids.uniform(shared.schedule, PATH_STEPS)
    return paths._replace(ends=sample(fine, ts, paths))


def fit(shared: Shared, start: np.ndarray, known: Paths) -> np.ndarray:
    """Times f64[n + 1] that lower equation 2 from those of `start`."""

    def value(z):
        loss, slope = _loss_and_slope(jnp.asarray(z, jnp.float32), shared, known)
        return float(loss), np.asarray(slope, np.float64)

    bar = tqdm(total=MAX_ITERATIONS, desc=f"fitting {len(start) - 1} steps")
    shares = np.maximum(-np.diff(np.concatenate([[1.0], start])), LEAST)
    result = optimize.minimize(
        value,
        np.log(shares),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS},
        callback=lambda z: bar.update(),
    )
    bar.close()
    return np.append(np.asarray(times(jnp.asarray(result.x)), np.float64)[:-1], 0.0)


def times(z: Array) -> Array:
    """Equation 1, f[n + 1]."""
    w = LEAST + (1 - len(z) * LEAST) * jax.nn.softmax(z)
    ts = 1 - jnp.cumsum(w)
    return ts.at[-1].set(0.0)


def error(shared: Shared, ts: np.ndarray, paths: Paths) -> float:
    """Root of the mean square distance from the ends of the paths, a value."""
    gaps = np.asarray(sample(shared, ts, paths) - paths.ends)
    return float(np.sqrt(np.mean(np.square(gaps, dtype=np.float64))))


@jax.jit
def sample(shared: Shared, ts: Array | np.ndarray, paths: Paths) -> Array:
    """Samples of the paths' noise down those times f[n + 1], f32[n, *shape]."""
    keys, shape = paths.keys, paths.ends.shape[1:]
    how = {"schedule": shared.schedule, "noise": shared.noise}
    x_T = sampling.init_noise(keys, shape, t=ts[0], **how)
    return sampling.sample(keys, shared.denoise, shared.solver, ts, x_T, paths.cond)


@jax.jit
def _loss_and_slope(z: Array, shared: Shared, known: Paths) -> tuple[Array, Array]:
    """Equation 2 and its gradient, f[] and f[n + 1].

    Forward through the steps: few times, one pass, and no step is kept. Backward,
    convolutions in a loop are slow on CPUs.
    """

    def loss(z):
        value = jnp.mean(jnp.square(sample(shared, times(z), known) - known.ends))
        return value, value

    slope, value = jax.jacfwd(loss, has_aux=True)(z)
    return value, slope
