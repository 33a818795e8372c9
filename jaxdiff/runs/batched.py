"""Drawing images over all devices, batch by batch."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from jaxdiff import rng
from jaxdiff.diffusion import sampling, upsampling
from jaxdiff.diffusion.noises import Noise
from jaxdiff.diffusion.types import Denoise, Edit, Schedule, Solver
from jaxdiff.train import memory, parallel

# Folded into an image's key for streams beside the solver's, whose numbers are lower.
AUGMENT, UPSAMPLE = 2**30, 2**30 + 1


class Shared(NamedTuple):
    """What is the same for all images. Its numbers are leaves: with other numbers, of
    the same structure, nothing is compiled.

    ts: f32[n + 1].  edit: of editing.py, or None.
    mask: bool[*shape], a Linear (inverse_problems.py), or None
    """

    denoise: Denoise
    solver: Solver
    ts: Any
    schedule: Schedule
    noise: Noise
    edit: Edit | None
    mask: Any


class PerImage(NamedTuple):
    """What differs from image to image, and is split over the devices.

    seeds: key[n]; before the keys are made, the numbers of the images, i64[n]
    cond, low, values, x_T: see Sampler.draw.
    amount: the time to which low is noised, f32[n]
    """

    seeds: Any
    cond: Any
    low: Any
    values: Any
    x_T: Any
    amount: Any


def draw_batches(
    shared: Shared,
    images: PerImage,
    shape: tuple[int, ...],
    seed: int,
    batch_size: int,
    varied: tuple[int, ...] = (),
) -> np.ndarray:
    """f32[n, *shape]; batch by batch, the last padded: one compilation.

    Errors: FloatingPointError for samples that are not finite; MemoryError.

    varied: which leaves of `shared` lead with [k]: k samplers as one program, which
    gives f32[k, n, *shape] in batches of about batch_size / k images.
    """
    num, key = len(images.seeds), jax.random.key(seed)
    # a device without an image would take threads from the others
    devices, leaves = jax.local_devices()[:num], jax.tree.leaves(shared)
    run = _pmapped(shape, tuple(devices), jax.tree.structure(shared), varied)
    k = len(leaves[varied[0]]) if varied else 1
    leaves = parallel.replicate(leaves, devices)  # once, not at every batch
    size = min(max(1, batch_size // k), num)
    chunk = -(-size // len(devices)) * len(devices)
    memory.check_fits("sampler.batch_size", chunk * k, shape)
    bar = tqdm(total=num * k, desc="sampling", unit="", disable=None)
    parts = []
    with memory.enough("sampler.batch_size", batch_size):
        for at in range(0, num, chunk):
            # the last chunk repeats its last image
            rows = np.minimum(np.arange(at, at + chunk), num - 1)
            batch = jax.tree.map(lambda a, rows=rows: jnp.asarray(a[rows]), images)
            batch = batch._replace(seeds=rng.split_by(key, batch.seeds))
            x = run(parallel.shard(batch, len(devices)), leaves)
            # (d, [k,] b / d, ...) -> ([k,] b, ...)
            x = np.concatenate([*np.asarray(x)], axis=1 if varied else 0)
            parts.append(x[:, : num - at] if varied else x[: num - at])
            bar.update(k * min(chunk, num - at))
    bar.close()
    x = np.concatenate(parts, axis=1 if varied else 0)
    check_finite(x.reshape(-1, num, *shape))
    return x


def check_finite(x: np.ndarray) -> None:
    """FloatingPointError for samples f32[k, n, ...] that are not finite."""
    bad = ~np.isfinite(x).all(axis=tuple(range(2, x.ndim)))
    if bad.any():
        raise FloatingPointError(
            f"{bad.sum()} of {bad.size} samples are not finite; a lower "
            "sampler.guidance, more sampler.num_steps or another sampler.solver may "
            "cure it, or the model has not been trained well"
        )


@lru_cache
def _pmapped(shape, devices, structure, varied):
    """One function for each structure: another guidance scale compiles nothing."""

    def one(images, leaves):
        return draw_batch(jax.tree.unflatten(structure, leaves), images, shape)

    axes = [0 if i in varied else None for i in range(structure.num_leaves)]
    run = jax.vmap(one, (None, axes)) if varied else one
    return parallel.pmap_map(run, devices, (True, False))


def draw_batch(
    shared: Shared, images: PerImage, shape: tuple[int, ...], *, trace: bool = False
) -> Any:
    """f32[n, *shape], of one batch with its keys; JAX can trace it. trace: give a Trace
    of the way too.
    """
    denoise, solver, ts, schedule, noise, edit, mask = shared
    seeds, cond = images.seeds, images.cond
    if images.low is not None:
        # streams of their own: the base drew from these keys
        keys, seeds = rng.fold(seeds, AUGMENT), rng.fold(seeds, UPSAMPLE)
        cond = upsampling.beside(
            keys,
            images.low,
            cond,
            shape=shape,
            schedule=schedule,
            noise=noise,
            amount=images.amount,
        )
    if edit is not None:  # last, so that guidance and clipping keep what is known
        denoise = edit(denoise, schedule, images.values, mask)
    x_T = images.x_T
    if x_T is None:
        at = {"schedule": schedule, "noise": noise, "t": ts[0]}
        x_T = sampling.init_noise(seeds, shape, **at)
    return sampling.sample(seeds, denoise, solver, ts, x_T, cond, trace=trace)
