"""Films: samples and the way to them, of several requests as one batch.

Law 1 makes an image independent of its batch: requests whose solver, steps and fixed
columns are the same are drawn together, whatever their seeds, classes and guidance
scales. A batch is padded to one of three sizes. Programs are compiled when they are
first needed, and the MOST_PROGRAMS used last are kept.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import rng
from jaxdiff.data import given as given_columns
from jaxdiff.runs.batched import PerImage, Shared, check_finite, draw_batch
from jaxdiff.runs.experiment import Experiment
from jaxdiff.runs.sample.sweep import stack
from jaxdiff.runs.serve.offer import MOST_NUM, BadRequestError, Request
from jaxdiff.train import memory

# Of three sizes each.
MOST_PROGRAMS = 12
# Pictures of a film, that of the samples included, at most.
MOST_FRAMES = 11


class Film(NamedTuple):
    """The denoising of n samples in k frames, the last of which is the samples.

    ts:      their times f[k], falling
    x_t, x0: what the solver saw and the estimate of x0 there, in data units: pixels
             u8[k, n, h, w, c], or columns {name: [k, n]}
    batch:   how many samples were drawn together
    """

    ts: np.ndarray
    x_t: Any
    x0: Any
    batch: int


class Prepared(NamedTuple):
    """The sampler of a group of requests.

    per_image: of the Sampler
    shared:    its Shared, in which those leaves are guidance scales, one an image
    """

    per_image: Callable[..., PerImage]
    shared: Shared
    scales: tuple[int, ...]


def group_of(request: Request) -> tuple[str, int, tuple[bool, ...]]:
    """What requests that are drawn together have in common."""
    known = () if request.fix is None else tuple(request.fix.mask.tolist())
    return request.solver, request.steps, known


def make_draw(
    run: Experiment, most: int
) -> Callable[[Sequence[Request]], list[Film | FloatingPointError]]:
    """The function that draws requests of one group, of up to `most` samples: for each
    request a Film, or the error of samples that are not finite.

    Its errors: BadRequestError for what does not fit together, MemoryError.
    """
    sizes = (1, max(1, most // 4), most)
    prepare = lru_cache(MOST_PROGRAMS)(partial(_prepare, run))
    compiled = lru_cache(MOST_PROGRAMS)(partial(_compile, run.source.shape))

    def draw(requests: Sequence[Request]) -> list[Film | FloatingPointError]:
        first, nums = requests[0], [request.num for request in requests]
        try:
            per_image, shared, scales = prepare(*group_of(first))
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        size = next(size for size in sizes if size >= sum(nums))
        rows = np.minimum(np.arange(size), sum(nums) - 1)  # the last one fills it
        parts = [_per_image(run, per_image, request) for request in requests]
        images = jax.tree.map(lambda *a: np.concatenate(a)[rows], *parts)
        guidance = np.repeat([request.guidance for request in requests], nums)[rows]
        shared = _with_leaves(shared, scales, guidance.astype(np.float32))
        leaves, structure = jax.tree.flatten((shared, images, _frames(first.steps)))
        leaves = [jnp.asarray(leaf, jnp.result_type(leaf)) for leaf in leaves]
        with memory.enough("sampler.batch_size", run.config.sampler.batch_size):
            program = compiled(structure, tuple((a.shape, a.dtype) for a in leaves))
            film = program(*jax.tree.unflatten(structure, leaves))
            ts, *frames = (np.asarray(a) for a in film)
        return _split(run, requests, ts, frames)

    return draw


def _prepare(
    run: Experiment, solver: str, steps: int, known: tuple[bool, ...]
) -> Prepared:
    mask = np.array(known) if known else None
    # leaves that differ between two scales are the scales
    fields = [{"guidance": 1.0}, {"guidance": 2.0}][: 1 + (run.task.null is not None)]
    samplers = [
        run.with_sampler(solver=solver, num_steps=steps, **field).sampler(
            mask=mask, general=True
        )
        for field in fields
    ]
    stacked, scales = stack([sampler.shared(run.params) for sampler in samplers])
    return Prepared(samplers[0].per_image, stacked, scales)


def _compile(
    shape: tuple[int, ...], structure: Any, like: tuple[Any, ...]
) -> Callable[..., Any]:
    args = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*one) for one in like])
    program = jax.jit(partial(_film, shape=shape)).lower(*args).compile()
    jax.clear_caches()  # what JAX keeps of tracing it is as large, and has no limit
    return program


def _film(shared: Shared, images: PerImage, frames: Any, *, shape: tuple[int, ...]):
    """Times, x_t and x0 of the frames, of which the last is the samples."""
    images = images._replace(seeds=jax.random.wrap_key_data(images.seeds))
    x, trace = draw_batch(shared, images, shape, trace=True)
    x_t, x0 = (jnp.concatenate([a[frames], x[None]]) for a in trace)
    return jnp.append(shared.ts[frames], shared.ts[-1]), x_t, x0


def _frames(steps: int) -> np.ndarray:
    """Which steps are shown, evenly spread, the first one included."""
    return np.linspace(0, steps, min(steps, MOST_FRAMES - 1), False).astype(np.int32)


def _per_image(
    run: Experiment, per_image: Callable[..., PerImage], request: Request
) -> PerImage:
    """As launch.sample has them, but for keys as numbers, which numpy can join."""
    num, fix = request.num, request.fix
    images = per_image(
        request.seed,
        np.arange(num),
        run.conditions(num, request.label),
        values=None if fix is None else np.repeat(fix.values, num, axis=0),
    )
    # of as many as can be, so that nothing is compiled for another number of samples
    keys = rng.split_by(jax.random.key(request.seed), jnp.arange(MOST_NUM))
    return images._replace(seeds=np.asarray(jax.random.key_data(keys))[:num])


def _with_leaves(tree: Any, places: tuple[int, ...], value: np.ndarray) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten(
        [value if i in places else leaf for i, leaf in enumerate(leaves)]
    )


def _split(
    run: Experiment, requests: Sequence[Request], ts: np.ndarray, frames: Sequence[Any]
) -> list[Film | FloatingPointError]:
    """The film of each request, of f32[k, size, *shape] of all."""
    films, start, batch = [], 0, sum(request.num for request in requests)
    decoded = [_decode(run, x) for x in frames]
    for request in requests:
        at = slice(start, start + request.num)
        start = at.stop
        try:
            check_finite(frames[0][-1:, at])
        except FloatingPointError as error:
            films.append(error)
            continue
        x_t, x0 = (_cut(run, request, values, at) for values in decoded)
        films.append(Film(ts, x_t, x0, batch))
    return films


def _decode(run: Experiment, x: np.ndarray) -> Any:
    """f32[k, size, *shape] to pixels u8[k, size, ...] or columns {name: [k, size]}."""
    x = np.where(np.isfinite(x), x, 0)  # of requests that fail, beside the others
    if run.source.is_image:
        return run.pixels(x)
    table = run.source.decode(x.reshape(-1, *x.shape[2:]))
    return {name: column.reshape(x.shape[:2]) for name, column in table.items()}


def _cut(run: Experiment, request: Request, values: Any, at: slice) -> Any:
    """The samples of one request, its fixed columns as they were written."""
    if run.source.is_image:
        return values[:, at]
    # not by jax.tree.map, which sorts the columns
    table = {name: column[:, at] for name, column in values.items()}
    if request.fix is None:
        return table
    shape = next(iter(table.values())).shape
    flat = {name: column.ravel() for name, column in table.items()}
    table = given_columns.restore(run.source, request.fix, flat)
    return {name: column.reshape(shape) for name, column in table.items()}
