"""Drawing images as a plan says, over all devices, batch by batch."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jaxdiff import rng
from jaxdiff.diffusion import editing, sampling, upsampling
from jaxdiff.diffusion.denoisers import Denoise
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.schedules import Schedule
from jaxdiff.train import parallel

# Folded into an image's key, far from the steps of a solver: what its stream is for.
AUGMENT, UPSAMPLE = 2**30, 2**30 + 1


class Plan(NamedTuple):
    """What is the same for all images; its numbers are leaves, so others of the same
    structure compile nothing.

    ts: f32[n + 1].  edit: of editing.py, or None.
    mask: bool[*shape], a Linear (inverse_problems.py), or None
    """

    denoise: Denoise
    solver: sampling.Solver
    ts: Any
    schedule: Schedule
    noise: Noise
    edit: editing.Edit | None
    mask: Any


class Each(NamedTuple):
    """What differs from image to image, and so is split over the devices.

    seeds: key[n], or before they are made of them the numbers of the images, i64[n]
    labels, low, values, x_T: as of Sampler.draw.
    amount: to what time low is noised, f32[n]
    """

    seeds: Any
    labels: Any
    low: Any
    values: Any
    x_T: Any
    amount: Any


def draw_plan(
    plan: Plan,
    each: Each,
    shape: tuple[int, ...],
    seed: int,
    batch_size: int,
    varied: tuple[int, ...] = (),
) -> np.ndarray:
    """f32[n, *shape]; batch by batch, the last padded: one compilation.

    varied: which of the plan's leaves lead with [k]: k plans as one program, which
    gives f32[k, n, *shape] in batches of about batch_size / k images.
    """
    devices, leaves = jax.local_devices(), jax.tree.leaves(plan)
    run = _pmapped(shape, tuple(devices), jax.tree.structure(plan), varied)
    ways = len(leaves[varied[0]]) if varied else 1
    leaves = parallel.replicate(leaves, devices)  # once, not at every batch
    num, key = len(each.seeds), jax.random.key(seed)
    size = min(max(1, batch_size // ways), num)
    chunk = -(-size // len(devices)) * len(devices)
    bar = tqdm(total=num * ways, desc="sampling", unit="", disable=None)
    parts = []
    for at in range(0, num, chunk):
        # the last chunk repeats its last image
        rows = np.minimum(np.arange(at, at + chunk), num - 1)
        some = jax.tree.map(lambda a, rows=rows: jnp.asarray(a[rows]), each)
        told = some._replace(seeds=rng.split_by(key, some.seeds))
        x = run(parallel.shard(told, len(devices)), leaves)
        # (d, [k,] b / d, ...) -> ([k,] b, ...)
        x = np.concatenate([*np.asarray(x)], axis=1 if varied else 0)
        parts.append(x[:, : num - at] if varied else x[: num - at])
        bar.update(ways * min(chunk, num - at))
    bar.close()
    return np.concatenate(parts, axis=1 if varied else 0)


@lru_cache
def _pmapped(shape, devices, structure, varied):
    """One function for every plan of a structure: another guidance compiles nothing."""

    def one(each, leaves):
        denoise, solver, ts, schedule, noise, edit, mask = jax.tree.unflatten(
            structure, leaves
        )
        seeds, cond = each.seeds, each.labels
        if each.low is not None:
            # streams of their own: the base drew from these keys
            keys, seeds = rng.fold(seeds, AUGMENT), rng.fold(seeds, UPSAMPLE)
            cond = upsampling.beside(
                keys,
                each.low,
                cond,
                shape=shape,
                schedule=schedule,
                noise=noise,
                amount=each.amount,
            )
        if edit is not None:  # the last word: guided or clipped, known is known
            denoise = edit(denoise, schedule, each.values, mask)
        x_T = each.x_T
        if x_T is None:
            at = {"schedule": schedule, "noise": noise, "t": ts[0]}
            x_T = sampling.init_noise(seeds, shape, **at)
        return sampling.sample(seeds, denoise, solver, ts, x_T, cond)

    axes = [0 if i in varied else None for i in range(structure.num_leaves)]
    run = jax.vmap(one, (None, axes)) if varied else one
    return parallel.pmap_map(run, devices, (True, False))
