"""Iris beside a PyTorch program: seconds to train and to sample, and the samples.

Timed on both sides: from the data in memory to the samples on the host, compiling
included, imports left out. Generated rows are measured as they come and rounded to the
data's own tenths: a forest sees at once that 5.1034 was never measured.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxdiff.arrays import require
from jaxdiff.data import iris
from jaxdiff.data.layout import decode
from jaxdiff.data.source import Source
from jaxdiff.metrics.two_sample import (
    as_features,
    train_on_generated,
    two_sample_accuracy,
)
from jaxdiff.runs.train import setup
from jaxdiff.train.ema import primary

Row = dict[str, Any]

NUM_ROWS = 150
# In a clone: the wheel holds the package alone.
PROGRAM = Path(__file__).parents[3] / "tests" / "peers" / "iris_torch.py"


def bench_iris(config: ConfigDict, num_seeds: int, python: str) -> list[Row]:
    """Train and sample, ours and the PyTorch program in turn, seed by seed.

    Returns: one row a program and seed, their means, and the ratio of the total times.
    Errors:  ValueError for other data, or where the program or its Python is missing.
    """
    require(
        config.data.name == "iris" and not config.data.columns,
        f"launch.bench iris needs all of data.name='iris', got {config.data.name!r} "
        f"and data.columns={config.data.columns}; take configs/iris.py",
    )
    require(
        PROGRAM.is_file(),
        f"there is no {PROGRAM}, the program to measure against: run launch.bench iris "
        "in a clone that is installed by pip install -e .",
    )
    test = [python, "-c", "import torch, sklearn"]
    require(
        subprocess.run(test, capture_output=True).returncode == 0,
        f"--peer_python={python} cannot import torch and scikit-learn; "
        "pip install torch scikit-learn there",
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(num_seeds):
            rows.append(_ours(config, seed))
            rows.append(_theirs(python, seed, Path(folder) / f"{seed}.npz"))
    for program in ("jaxdiff", "torch"):
        some = [row for row in rows if row["program"] == program]
        means = {k: float(np.mean([r[k] for r in some])) for k in list(some[0])[2:]}
        rows.append({"program": program, "seed": "mean", **means})
    ours, theirs = rows[-2:]
    rows.append(
        {"program": "ratio", "seed": "", "total s": ours["total s"] / theirs["total s"]}
    )
    return rows


def _ours(config: ConfigDict, seed: int) -> Row:
    config = config.copy_and_resolve_references()
    config.seed = seed
    jax.clear_caches()  # each seed compiles, as a command does
    start = time.perf_counter()
    run = setup.prepare(config, None)
    sampler = run.experiment.sampler()
    state = setup.fit(run)
    middle = time.perf_counter()
    x = sampler.draw(primary(state.ema), seed, np.arange(NUM_ROWS), None)
    seconds = middle - start, time.perf_counter() - middle
    return _scored("jaxdiff", seed, seconds, run.experiment.source, x)


def _theirs(python: str, seed: int, out: Path) -> Row:
    command = [python, str(PROGRAM), str(out), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    times = json.loads(done.stdout.splitlines()[-1])
    seconds = times["train"], times["sample"]
    return _scored("torch", seed, seconds, iris.make(), np.load(out)["x"])


def _scored(
    program: str, seed: int, seconds: tuple[float, float], source: Source, x: np.ndarray
) -> Row:
    assert source.layout, "Iris is a table"
    real, rounded, exact = as_features(
        decode(source.layout, source[np.arange(len(source))]["x"]),
        decode(source.layout, x),
        decode(source.layout, x, rounded=False),
    )
    return {
        "program": program,
        "seed": seed,
        "train s": seconds[0],
        "sample s": seconds[1],
        "total s": sum(seconds),
        "two-sample": two_sample_accuracy(real, rounded),
        "not rounded": two_sample_accuracy(real, exact),
        "train on generated": train_on_generated(
            rounded[:, :-1], rounded[:, -1], real[:, :-1], real[:, -1]
        ),
    }
