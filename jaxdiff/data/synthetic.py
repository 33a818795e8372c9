"""Synthetic data for smoke tests: any shape, no files, a function of the seed."""

from dataclasses import replace

import numpy as np

from jaxdiff.data import images, table
from jaxdiff.data.source import Batch, Source


def make(
    shape: tuple[int, ...] = (8, 8, 1),
    num_classes: int = 10,
    num_examples: int = 256,
    seed: int = 0,
    low: float = -1.0,
) -> Source:
    """Pictures of a bright blob whose place shows its class, or a table of numbers.

    Example i has class i mod num_classes. It is made from (seed, i) when it is read,
    and nothing is stored. A `shape` of one axis gives a table of that many numeric
    columns, whose means depend on the class.

    Args:   shape: (h, w, c), or (columns,).  num_classes: 0 for no labels.
            num_examples: number of examples.  seed: 0 to 2^63 - 1.
            low: model value of black; white is 1 (images only).
    Errors: ValueError for a shape, a number or a seed out of range.
    """
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ValueError(
            f"shape must be (h, w, c) or (columns,), all positive, got {shape=}"
        )
    if num_examples < 2 or num_classes < 0 or not 0 <= seed < 2**63:
        raise ValueError(
            "need num_examples >= 2, num_classes >= 0 and seed from 0 to 2**63 - 1, "
            f"got {num_examples=}, {num_classes=}, {seed=}"
        )
    names = tuple(f"class {k}" for k in range(num_classes))
    if len(shape) == 1:
        return _table(shape[0], names, num_examples, seed)
    encode, decode = images.ranges(low, 255.0)

    def load(index: np.ndarray) -> Batch:
        label = (index % max(num_classes, 1)).astype(np.int32)
        x = encode(_blobs(index, label, names, shape, seed))
        return {"x": x, "cond": label if names else None}

    return Source(
        load,
        num_examples,
        tuple(shape),
        decode,
        num_classes,
        names,
        peak=255.0,
        bounds=(low, 1.0),
    )


def _blobs(
    index: np.ndarray,
    label: np.ndarray,
    names: tuple[str, ...],
    shape: tuple[int, ...],
    seed: int,
) -> np.ndarray:
    """Blobs on a circle, jittered, with a little noise: f32[b, h, w, c] in [0, 255]."""
    h, w, c = shape
    draws = uniforms(seed, index, 2 + h * w * c)
    angle = 2 * np.pi * label / max(len(names), 1)
    row = (0.5 + 0.3 * np.sin(angle) + 0.1 * (draws[:, 0] - 0.5)) * h
    column = (0.5 + 0.3 * np.cos(angle) + 0.1 * (draws[:, 1] - 0.5)) * w
    down = ((np.arange(h) + 0.5 - row[:, None]) / (0.15 * h)) ** 2
    across = ((np.arange(w) + 0.5 - column[:, None]) / (0.15 * w)) ** 2
    blob = np.exp(-0.5 * (down[:, :, None] + across[:, None, :]))[..., None]
    noise = draws[:, 2:].reshape(-1, h, w, c)
    return (230 * blob + 25 * noise).astype(np.float32)


def _table(columns: int, names: tuple[str, ...], size: int, seed: int) -> Source:
    index = np.arange(size)
    label = (index % max(len(names), 1)).astype(np.int32)
    centre = 2 * uniforms(seed, label + size, columns)
    values = centre + uniforms(seed, index, columns)
    source = table.from_columns({f"x{k}": values[:, k] for k in range(columns)})
    if not names:
        return source
    return replace(
        source,
        load=lambda i: source.load(i) | {"cond": label[i]},
        num_classes=len(names),
        class_names=names,
    )


def uniforms(seed: int, index: np.ndarray, n: int) -> np.ndarray:
    """f64[b, n] in [0, 1), each a function of (seed, index, position) alone.

    SplitMix64 (Steele et al. 2014) serves as the hash of a counter. It runs on all
    examples at once, whereas a numpy Generator per example would cost microseconds
    each.
    """
    key = _mix(np.array([seed], np.uint64))
    row = _mix(key + np.asarray(index).astype(np.uint64))[:, None]
    return (_mix(row + np.arange(n, dtype=np.uint64)) >> np.uint64(11)) * 2.0**-53


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
