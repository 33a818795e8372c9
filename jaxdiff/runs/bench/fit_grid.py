"""Fitting the step grid of a trained model: `jax.jacfwd` through the sampler.

(1)  t_i = 1 - (w_0 + ... + w_i),  w = softmax(z) of n + 1 shares;  t_n = 0
(2)  loss(z) = mean |x(z) - x*|^2,  x the sample down the times of z, x* the end of the
     path of the same noise, down many even steps by Heun's method

A few steps cannot follow the path; they can end near where it ends. z begins at the
best of the known grids, and quasi-Newton steps (L-BFGS) lower the loss over a fixed
set of noises. What is found is judged on others.
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
from jaxdiff.arrays import Array, require
from jaxdiff.choices import members
from jaxdiff.diffusion import grids, inversion, sampling
from jaxdiff.diffusion.solvers import heun
from jaxdiff.plots import curves, pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.batched import Plan
from jaxdiff.runs.experiment import Trained, load
from jaxdiff.runs.sampler import even_labels, make_sampler, num_asked

# Heun steps of the path, twice as many calls: its error is far below that of 10 steps.
PATH_STEPS = 100
MAX_ITERATIONS = 60
# What every share is at least, so that a grid falls strictly in float32.
LEAST = 1e-5
# Images in a row of the picture.
SHOWN = 10


class Request(NamedTuple):
    """What launch.fit_grid was asked for, checked: see `prepare`."""

    trained: Trained
    plan: Plan
    steps: Sequence[int]
    num: int
    seed: int
    out: Path


class Noises(NamedTuple):
    """Where paths start, keys key[n] and labels i32[n] or None, and end.

    ends: f32[n, *shape]
    """

    keys: Array
    labels: Array | None
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
) -> Request:
    """Check everything before any work. Errors: ValueError, FileNotFoundError."""
    require(num >= 1, f"--num must be at least 1, got {num}")
    require(
        steps and min(steps) >= 1 and len(set(steps)) == len(steps),
        f"--steps must be different numbers from 1, as in --steps=5,10, got {steps}",
    )
    require(
        not config.diffusion.low_size,
        "a grid is fitted to a model that makes images by itself, not to an upsampler",
    )
    files.check_out(out, force)
    trained = load(workdir, config)
    plan = make_sampler(config, trained.source, trained.task).plan(trained.params)
    require(
        not inversion.draws_noise(plan.solver, plan.schedule, np.asarray(plan.ts)),
        f"sampler.solver={config.sampler.solver!r} draws noise on its way, and the end "
        "of a path is not its aim; use one that does not, as ddim or dpmpp_2m",
    )
    return Request(trained, plan, steps, num, seed, out)


def run(request: Request) -> list[dict[str, Any]]:
    """Fit a grid for each number of steps; print, draw and give their errors.

    Returns: one row a grid and number of steps: name, steps, network calls, times, and
    its error on noises that nothing was fitted to, RMS per value in model units. Writes
    them to grids.json, grids.png, samples.png, and grids.txt, the options that use what
    was found.
    """
    trained, plan, num, out = request.trained, request.plan, request.num, request.out
    out.mkdir(parents=True, exist_ok=True)
    known, new = (noises(request, np.arange(num) + k * num) for k in (0, 1))
    spread = np.linspace(0, num - 1, min(num, SHOWN)).astype(int)  # of all classes
    shown = jax.tree.map(lambda a: a[spread], new)
    rows, told, strips = [], [], {}
    for n in request.steps:
        tried = known_grids(plan, n)
        errors = {name: error(plan, ts, known) for name, ts in tried.items()}
        best = min(errors, key=errors.__getitem__)
        tried["fitted"] = fit(plan, tried[best], known)
        calls = sampling.count_nfe(plan.solver, jnp.asarray(tried["fitted"]))
        for name, ts in tried.items():
            row = {"grid": name, "steps": n, "calls": calls}
            rows.append({**row, "error": error(plan, ts, new), "times": ts.tolist()})
        times = " ".join(f"{t:.6g}" for t in tried["fitted"])
        told.append(
            f"--config.sampler.num_steps={n} "
            f"--config.sampler.grid=\"written(times='{times}')\""
        )
        for name in ("uniform", "karras", "fitted"):
            x = drawn(plan, tried[name], shown)
            strips[f"{name}, {n} steps"] = x
    strips["end of the path"] = np.asarray(shown.ends)
    (out / "grids.txt").write_text("\n".join(told) + "\n")
    print(*told, sep="\n")
    curves.save_grids(out / "grids.png", rows)
    source = trained.source
    if source.is_image:
        pixels = {
            name: pictures.to_uint8(source.decode(x), source.peak)
            for name, x in strips.items()
        }
        pictures.save_rows(out / "samples.png", pixels, group=3)
    (out / "grids.json").write_text(json.dumps(rows, indent=2) + "\n")
    return rows


def known_grids(plan: Plan, num_steps: int) -> dict[str, np.ndarray]:
    """Every grid of grids.py with its own defaults that has so many steps."""
    found = {}
    for name, make in members(grids).items():
        if name != "written":
            try:
                found[name] = make(plan.schedule, num_steps)
            except ValueError:  # no such grid of so few or many steps
                print(f"{name} has none of {num_steps} steps; left out")
    return found


def noises(request: Request, index: np.ndarray) -> Noises:
    """Starts and the ends of their paths, which are sampled finely."""
    trained, plan = request.trained, request.plan
    labels = even_labels(len(index), num_asked(trained.config, trained.source))
    keys = rng.split_by(jax.random.key(request.seed), jnp.asarray(index))
    shape = trained.source.shape
    some = Noises(
        keys,
        None if labels is None else jnp.asarray(labels),
        jnp.zeros((len(index), *shape)),
    )
    fine = plan._replace(solver=heun.make(plan.schedule))
    ts = grids.uniform(plan.schedule, PATH_STEPS)
    return some._replace(ends=jnp.asarray(drawn(fine, ts, some)))


def fit(plan: Plan, start: np.ndarray, known: Noises) -> np.ndarray:
    """Times f64[n + 1] that lower equation 2 from those of `start`."""

    def value(z):
        loss, slope = _loss_and_slope(jnp.asarray(z, jnp.float32), plan, known)
        return float(loss), np.asarray(slope, np.float64)

    bar = tqdm(total=MAX_ITERATIONS, desc=f"fitting {len(start) - 1} steps")
    shares = np.maximum(-np.diff(np.concatenate([[1.0], start])), LEAST)
    found = optimize.minimize(
        value,
        np.log(shares),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS},
        callback=lambda z: bar.update(),
    )
    bar.close()
    return np.append(np.asarray(times(jnp.asarray(found.x)), np.float64)[:-1], 0.0)


def times(z: Array) -> Array:
    """Equation 1, f[n + 1]."""
    w = LEAST + (1 - len(z) * LEAST) * jax.nn.softmax(z)
    ts = 1 - jnp.cumsum(w)
    return ts.at[-1].set(0.0)


def error(plan: Plan, ts: np.ndarray, some: Noises) -> float:
    """Root of the mean square distance from the ends of the paths, a value."""
    gaps = drawn(plan, ts, some) - np.asarray(some.ends)
    return float(np.sqrt(np.mean(np.square(gaps, dtype=np.float64))))


def drawn(plan: Plan, ts: np.ndarray, some: Noises) -> np.ndarray:
    """Samples down those times, f32[n, *shape]."""
    return np.asarray(_drawn(plan, jnp.asarray(ts, jnp.float32), some))


@jax.jit
def _drawn(plan, ts, some):
    shape = some.ends.shape[1:]
    how = {"schedule": plan.schedule, "noise": plan.noise}
    x_T = sampling.init_noise(some.keys, shape, t=ts[0], **how)
    return sampling.sample(some.keys, plan.denoise, plan.solver, ts, x_T, some.labels)


@jax.jit
def _loss_and_slope(z, plan, known):
    """Forward through the steps: few times, one pass, and no step is kept. Backward,
    convolutions in a loop are slow on CPUs.
    """

    def loss(z):
        value = jnp.mean(jnp.square(_drawn(plan, times(z), known) - known.ends))
        return value, value

    slope, value = jax.jacfwd(loss, has_aux=True)(z)
    return value, slope
