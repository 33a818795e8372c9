"""The step grid of a trained model: checks, and files (diffusion/fitted_grid.py)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from jaxdiff import rng
from jaxdiff.arrays import require
from jaxdiff.diffusion import fitted_grid, inversion, sampling
from jaxdiff.diffusion.fitted_grid import Paths, System
from jaxdiff.files import write_json, write_text
from jaxdiff.lock import locked
from jaxdiff.plots import curves, pictures
from jaxdiff.runs import workdir as files
from jaxdiff.runs.experiment import Experiment

# Images in a row of the picture, and the grids that it compares.
SHOWN = 10
COMPARED = ("uniform", "karras", "fitted")


class GridRequest(NamedTuple):
    """A checked request of launch.fit_grid: see `prepare`."""

    run: Experiment
    system: System
    steps: Sequence[int]
    num: int
    seed: int
    out: Path


def prepare(
    run: Experiment,
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
    config = run.config
    require(
        not run.is_upsampler,
        "a grid is fitted to a model that makes images by itself, not to an upsampler",
    )
    files.check_used(run.path, config, files.KNOWN, files.NEEDS_KNOWN)
    fitted = "sampler.grid", "sampler.num_steps"
    files.check_used(run.path, config, fitted, "does not count: --steps are fitted")
    shared = run.sampler().shared(run.params)
    system = System(shared.denoise, shared.solver, shared.schedule, shared.noise)
    require(
        not inversion.draws_noise(
            system.solver, system.schedule, np.asarray(shared.ts)
        ),
        f"sampler.solver={config.sampler.solver!r} draws noise at its steps, so that "
        "its samples do not end where the path does; use one that draws none, such as "
        "ddim or dpmpp_2m",
    )
    return GridRequest(run, system, steps, num, seed, out)


def run(request: GridRequest) -> list[dict[str, Any]]:
    """Fit a grid for each number of steps, and measure it beside the known grids.

    Writes grids.json, grids.png, samples.png, and grids.txt: the options of
    launch.sample that use the fitted grids, which are also printed.

    Returns: one row per grid and number of steps: name, steps, NFE, times, and the
             error on paths that no grid was fitted to, RMS per value in model units.
    """
    with locked(request.out):
        return _run(request)


def _run(request):
    system, num, out = request.system, request.num, request.out
    known, new = (make_paths(request, np.arange(num) + k * num) for k in (0, 1))
    spread = np.linspace(0, num - 1, min(num, SHOWN)).astype(int)  # of all classes
    shown = jax.tree.map(lambda a: a[spread], new)
    rows, options, strips = [], [], {}
    for n in request.steps:
        tried = fit_best(system, n, known)
        nfe = sampling.count_nfe(system.solver, jnp.asarray(tried["fitted"]))
        for name, ts in tried.items():
            row = {"grid": name, "steps": n, "nfe": nfe}
            row["error"] = fitted_grid.error(system, ts, new)
            rows.append({**row, "times": ts.tolist()})
        options.append(as_options(tried["fitted"]))
        for name in COMPARED:
            x = fitted_grid.sample(system, tried[name], shown)
            strips[f"{name}, {n} steps"] = x
    strips["end of the path"] = shown.ends
    print(*options, sep="\n")
    write_text(out / "grids.txt", "\n".join(options) + "\n")
    write_json(out / "grids.json", rows)
    curves.save_grids(out / "grids.png", rows)
    if request.run.source.is_image:
        pixels = {name: request.run.pixels(x) for name, x in strips.items()}
        pictures.save_rows(out / "samples.png", pixels, group=len(COMPARED))
    return rows


def make_paths(request: GridRequest, index: np.ndarray) -> Paths:
    """The paths of the samples numbered i64[n], with conditions of all classes."""
    run = request.run
    keys = rng.split_by(jax.random.key(request.seed), jnp.asarray(index))
    cond = jax.tree.map(jnp.asarray, run.conditions(len(index)))
    return fitted_grid.make_paths(request.system, keys, run.source.shape, cond)


def fit_best(system: System, num_steps: int, known: Paths) -> dict[str, np.ndarray]:
    """The known grids of this number of steps, and "fitted", started from the best."""
    every = fitted_grid.known_grids(system.schedule, num_steps)
    tried = {name: ts for name, ts in every.items() if ts is not None}
    for name in every:
        if name not in tried:
            print(f"{name} has none of {num_steps} steps; left out")
    best = min(tried.values(), key=lambda ts: fitted_grid.error(system, ts, known))
    most = fitted_grid.MAX_ITERATIONS
    with tqdm(total=most, desc=f"fitting {num_steps} steps") as bar:
        tried["fitted"] = fitted_grid.fit(system, best, known, bar.update)
    return tried


def as_options(ts: np.ndarray) -> str:
    """The options with which launch.sample uses these times f[n + 1]."""
    times = " ".join(f"{t:.6g}" for t in ts)
    return (
        f"--config.sampler.num_steps={len(ts) - 1} "
        f"--config.sampler.grid=\"written(times='{times}')\""
    )
