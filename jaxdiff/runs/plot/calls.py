"""How many network calls good samples take, with every solver."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxdiff import build
from jaxdiff.choices import members
from jaxdiff.data.batches import permutation
from jaxdiff.diffusion import sampling, solvers
from jaxdiff.metrics import frechet
from jaxdiff.plots import curves
from jaxdiff.runs.evaluate import features as judge
from jaxdiff.runs.evaluate import reference
from jaxdiff.runs.experiment import images_of
from jaxdiff.runs.plot.spec import Scene, judged_kind, save_figures

CALLS = (5, 10, 20, 50, 100)
# Samples that a distance is taken of; real images, at most.
MANY, MANY_REAL = 2000, 10_000
BATCH = 500  # of real images, looked at together
# It jumps to where a distilled model says the path ends; others say no such thing.
LEFT_OUT = ("consistency",)


def steps_for(scene: Scene, solver: str, most: int) -> tuple[int, int]:
    """The most steps that take no more than so many calls, and what they take."""

    def calls(num_steps):
        config = scene.config.copy_and_resolve_references()
        config.sampler.update({"solver": solver, "num_steps": num_steps})
        ts = jnp.asarray(build.make_grid(config), jnp.float32)
        return sampling.count_nfe(build.make_solver(config), ts)

    return sampling.most_steps(calls, most)


def distances(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """Solver -> of each number of calls: calls, steps and Frechet distance.

    The same seeds and labels for all; the real images are the run's own data. Of 8-bit
    pixels, as launch.compare's.
    """
    num, real = scene.num or MANY, fit_real(scene)
    labels = scene.labels(num)
    found: dict[str, list[dict[str, Any]]] = {}
    names = [name for name in sorted(members(solvers)) if name not in LEFT_OUT]
    todo = [(name, calls) for name in names for calls in CALLS]
    for name, most in tqdm(todo, desc="solvers x calls", disable=None):
        steps, calls = steps_for(scene, name, most)
        if not steps:
            continue
        sampler = scene.sampler_with(solver=name, num_steps=steps)
        x = sampler.draw(scene.trained.params, scene.seed, np.arange(num), labels)
        distance = frechet.distance(frechet.fit(features(scene, x)), real)
        row = {"calls": calls, "steps": steps, "frechet": distance}
        found.setdefault(name, []).append(row)
        tqdm.write(f"{name:16s}{steps:4d} steps{calls:4d} calls{distance:10.4f}")
    return found


def fit_real(scene: Scene) -> frechet.Moments:
    """Moments of what the judge sees in the run's own data, not in their codes."""
    source = images_of(scene.config, scene.source)
    index = permutation(0, 0, len(source))[:MANY_REAL]
    parts = (source[index[at : at + BATCH]]["x"] for at in range(0, len(index), BATCH))
    pixels = (reference.real_pixels(source, x) for x in parts)
    return frechet.gather(
        judge.features(scene.judged, p, reference.WHITE) for p in pixels
    )


def features(scene: Scene, x: np.ndarray) -> np.ndarray:
    """f32[n, d], what the judge sees in images in model units."""
    return judge.features(scene.judged, scene.pixels(x), reference.WHITE)


def misfit(scene: Scene) -> str:
    """Why it cannot be drawn of a trained run, or ""."""
    if scene.config.diffusion.low_size:
        return "is for models that make images by themselves, not for an upsampler"
    if not scene.judge:
        return f"needs --judge=WORKDIR: {judge.WANTED}"
    return ""


def draw_calls(scene: Scene, path: Path) -> None:
    """Frechet distance over network calls, a line a solver; and KIND.json."""
    found, num = distances(scene), scene.num or MANY
    lines = {
        name: tuple(np.array([[row["calls"], row["frechet"]] for row in rows]).T)
        for name, rows in found.items()
    }
    curves.save_lines(
        path,
        lines,
        xlabel="network calls",
        ylabel=f"Frechet distance, {num} samples",
        log=True,
    )
    said = {
        "samples": num,
        "seed": scene.seed,
        "grid": scene.config.sampler.grid,
        "guidance": scene.config.sampler.guidance,
        "solvers": found,
    }
    save_figures(path, said)


KINDS = {"calls": judged_kind(draw_calls, quick=False, misfit=misfit)}
