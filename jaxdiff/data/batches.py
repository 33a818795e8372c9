"""The loader, whose law is that a batch is a function of (seed, step) alone.

Row j of step i is at position p = i batch_size + j of an endless list. Its epoch is p
// len(source), and its example is permutation(seed, epoch)[p % len(source)]. So the
step is all that has to be saved, any step can be made first, and any number of
processes reads the same batches, each of them other rows.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import grain
import numpy as np
from tqdm.auto import tqdm

from jaxdiff.data.source import Batch, Source, map_arrays

# The streams of random numbers; each has its number in the counter of Philox.
SHUFFLE, FLIP, DEAL = 0, 1, 2


def batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    stack: int = 1,
    flip: bool = False,
    process_index: int = 0,
    process_count: int = 1,
    shuffle: bool = True,
    num_threads: int = 2,
    prefetch: int = 4,
) -> Iterator[Batch]:
    """The batches of steps start ... stop - 1, made ahead of time in threads.

    Args:    batch_size: rows of the global batch, over all processes.
             seed: 0 to 2^64 - 1.  stack: number of steps put on a leading axis.
             flip: mirror each image left to right with probability one half.
             process_index, process_count: this process gets the b rows from
             process_index * b on, where b = batch_size / process_count.
             shuffle: in another order each epoch.
             num_threads: 0 loads on demand.  prefetch: number of items made ahead.
    Returns: iterator of {"x": f32[k, b, *shape], "cond": a tree whose arrays are [k, b,
             ...], or None} with k = stack, also for 1. The last item has fewer steps if
             stack does not divide stop - start. The threads end when the iterator is
             dropped or closed.
    Errors:  ValueError for an argument out of range.
    """
    make = partial(
        batch_at,
        source,
        batch_size=batch_size,
        seed=seed,
        flip=flip,
        process_index=process_index,
        process_count=process_count,
        shuffle=shuffle,
    )
    _check(source, batch_size, seed, flip, process_index, process_count)
    if not 0 <= start <= stop:
        raise ValueError(f"steps must be 0 <= start <= stop, got {start=}, {stop=}")
    if stack < 1 or num_threads < 0 or prefetch < 0:
        raise ValueError(
            "stack must be at least 1, num_threads and prefetch at least 0, got "
            f"{stack=}, {num_threads=}, {prefetch=}"
        )
    firsts = grain.MapDataset.range(start, stop, stack)
    items = firsts.map(lambda i: make(np.arange(i, min(i + stack, stop))))
    options = grain.ReadOptions(
        num_threads=num_threads, prefetch_buffer_size=prefetch if num_threads else 0
    )
    return iter(items.to_iter_dataset(options))


def batch_at(
    source: Source,
    step: int | np.integer | np.ndarray,
    *,
    batch_size: int,
    seed: int,
    flip: bool = False,
    process_index: int = 0,
    process_count: int = 1,
    shuffle: bool = True,
) -> Batch:
    """The batch of one step [b, ...], or of i[k] steps [k, b, ...]; see batches()."""
    _check(source, batch_size, seed, flip, process_index, process_count)
    rows = batch_size // process_count
    mine = slice(process_index * rows, (process_index + 1) * rows)
    steps = np.atleast_1d(step)
    place = steps[:, None] * batch_size + np.arange(batch_size)[mine]
    index = examples(place, len(source), seed, shuffle)
    batch = source.load(index.ravel())
    if flip:
        mirror = np.concatenate(
            [flips(seed, i, batch_size)[mine] for i in steps.tolist()]
        )
        turned = batch["x"][:, :, ::-1]
        batch["x"] = np.where(mirror[:, None, None, None], turned, batch["x"])
    lead = index.shape if np.ndim(step) else (rows,)
    return map_arrays(lambda a: a.reshape(lead + a.shape[1:]), batch)


def examples(place: np.ndarray, n: int, seed: int, shuffle: bool) -> np.ndarray:
    """The indices of the examples at positions of the endless list, both i64[...]."""
    epoch, index = np.divmod(place, n)
    if not shuffle:
        return index
    out = np.empty_like(index)
    for e in np.unique(epoch).tolist():
        here = epoch == e
        out[here] = permutation(seed, e, n)[index[here]]
    return out


@lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order i64[n] of an epoch, cached because all of its batches need it."""
    order = _generator(seed, epoch, SHUFFLE).permutation(n)
    order.flags.writeable = False
    return order


def dealt(n: int) -> np.ndarray:
    """The order i64[n] in which examples are held out, the same for every seed."""
    return _generator(0, 0, DEAL).permutation(n)


def map_chunks(
    function: Callable[[np.ndarray], Any], n: int, size: int, desc: str = ""
) -> Any:
    """What a function gives for 0 ... n - 1, taken `size` at a time: [n, ...].

    Args: function: i64[size] -> a tree of arrays [size, ...]. The last number is
          repeated to fill up its chunk, so that one shape compiles.
          desc: of a progress bar, which shows itself where it takes over a second.
    """
    starts = tqdm(range(0, n, size), desc, delay=1.0, leave=False)
    chunks = (np.minimum(np.arange(at, at + size), n - 1) for at in starts)
    parts = [map_arrays(np.asarray, function(chunk)) for chunk in chunks]
    return map_arrays(lambda *some: np.concatenate(some)[:n], *parts)


def flips(seed: int, step: int, batch_size: int) -> np.ndarray:
    """Which rows of a step's global batch are mirrored, bool[batch_size]."""
    return _generator(seed, step, FLIP).random(batch_size) < 0.5


def _generator(seed: int, count: int, stream: int) -> np.random.Generator:
    key = np.array([seed, count], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def _check(
    source: Source,
    batch_size: int,
    seed: int,
    flip: bool,
    process_index: int,
    process_count: int,
) -> None:
    if batch_size < 1 or process_count < 1 or batch_size % process_count:
        raise ValueError(
            f"batch_size must be a positive multiple of process_count, got "
            f"{batch_size=}, {process_count=}"
        )
    if not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index must be from 0 to {process_count - 1}, got {process_index=}"
        )
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be from 0 to 2**64 - 1, got {seed=}")
    if flip and source.bounds is None:
        raise ValueError(
            f"flip=True, but the data ({source.shape=}) are no images of pixels; use "
            "flip=False"
        )
