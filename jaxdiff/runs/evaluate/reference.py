"""The real images that a judge looks at: in which order, and what it sees, kept."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxdiff.arrays import require
from jaxdiff.data.batches import permutation
from jaxdiff.data.source import Source
from jaxdiff.plots import pictures
from jaxdiff.runs import shards
from jaxdiff.runs.evaluate import features as judging
from jaxdiff.runs.evaluate.features import Judge

# The folder of what is known, in the run's workdir.
REFERENCES = "references"
# Images read at once; the largest value of a pixel.
BATCH, WHITE = 1024, 255.0


def features_of_real(
    judge: Judge, source: Source, num: int, data: dict[str, Any], folder: Path
) -> tuple[np.ndarray, str]:
    """Features of `num` images, f32[num, d], and the checksum they are kept under.

    Any first of them hold the classes in the proportion of all (real_order).

    The checksum is of the data (config.data), their number and the judge's parameters:
    FOLDER/CHECKSUM.npz may come from another machine.
    """
    about = {"data": data, "size": len(source), "images": num, "pixels": "8 bits"}
    about["order"] = "classes even"
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=list).encode())
    for leaf in jax.tree.leaves(judge.classify):
        digest.update(np.asarray(leaf).tobytes())
    checksum = digest.hexdigest()[:16]
    path = folder / f"{checksum}.npz"
    if path.is_file():
        with np.load(path) as file:
            return file["features"], checksum
    index, parts = real_order(source, None, num, seed=0), []
    starts = range(0, len(index), BATCH)
    for at in tqdm(starts, "real images", disable=None):
        x = source[index[at : at + BATCH]]["x"]
        pixels = real_pixels(source, x)
        parts.append(judging.features(judge, pixels, WHITE))
    features = np.concatenate(parts)
    folder.mkdir(parents=True, exist_ok=True)
    shards.write(path, {"features": features, "about": json.dumps(about)})
    return features, checksum


def real_order(
    source: Source, label: int | None, num: int | None, seed: int
) -> np.ndarray:
    """Which real images to look at, in turn, i64[m], of one class or of all.

    num: how many, drawn by the seed; None for all. Any first n hold the classes in the
    proportion of all, as samples asked for class by class do: n images drawn blindly
    can be further from the data than generated ones.
    Errors: ValueError if there are fewer, or for less than 4.
    """
    index = permutation(seed, 0, len(source))
    # of all classes, the labels of those alone that are looked at
    read = index[: num or len(index)] if label is None else index
    starts = range(0, len(read), BATCH)
    labels = np.zeros(len(read), np.int32)
    if source.num_classes:
        parts = (read[i : i + BATCH] for i in tqdm(starts, "labels", delay=1.0))
        labels = np.concatenate([source[part]["label"] for part in parts])
    if label is not None:
        index = index[labels == label]
        labels = np.full(len(index), label)[:num]
    require(
        4 <= (num or len(index)) <= len(index),
        f"--num_real must be from 4 to the {len(index)} images that there are, "
        f"got {num}",
    )
    index = index[:num]
    place = np.zeros(len(index))
    for k in np.unique(labels):
        found = np.flatnonzero(labels == k)
        place[found] = (np.arange(len(found)) + 0.5) / len(found)
    return index[np.argsort(place, kind="stable")]


def real_pixels(source: Source, x: np.ndarray) -> np.ndarray:
    """Model units to u8, as of every generated image."""
    return pictures.to_uint8(source.decode(x), source.peak)
