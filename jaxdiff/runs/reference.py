"""What a judge sees in real images, looked at once and kept."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxdiff.data.source import Source
from jaxdiff.runs import compare, shards
from jaxdiff.runs import judge as judging
from jaxdiff.runs.judge import Judge

# The folder of what is known, in the run's workdir.
REFERENCES = "references"


def features_of_real(
    judge: Judge, source: Source, num: int, data: dict[str, Any], folder: Path
) -> tuple[np.ndarray, str]:
    """Features of `num` images, f32[num, d], and the checksum they are kept under.

    Any first of them hold the classes in the proportion of all (compare.real_index).

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
    index, parts = compare.real_index(source, None, num, seed=0), []
    starts = range(0, len(index), compare.BATCH)
    for at in tqdm(starts, "real images", disable=None):
        x = source[index[at : at + compare.BATCH]]["x"]
        pixels = compare.real_pixels(source, x)
        parts.append(judging.features(judge, pixels, compare.WHITE))
    features = np.concatenate(parts)
    folder.mkdir(parents=True, exist_ok=True)
    shards.write(path, {"features": features, "about": json.dumps(about)})
    return features, checksum
