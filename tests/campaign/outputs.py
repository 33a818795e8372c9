"""What a command has left, as checksums that two of them can be compared by.

python -m tests.campaign.outputs FOLDER... prints those of the checkpoints and snapshots
of runs; it needs a device, which the campaign's own process must not touch.
"""

import json
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Fields of metrics.jsonl that depend on the clock.
TIMING = ("seconds", "examples_per_second")
MANAGED = ("checkpoints", "snapshots")
# A stopped run keeps its interval there; TensorBoard's files are named by the clock.
APART = (*MANAGED, "tensorboard", "interval.npz", "references")


def files(folder: Path) -> dict[str, Any]:
    """{path in the folder: what must be equal}, of all but `APART`."""
    paths = sorted(_paths(folder))
    names = {p.relative_to(folder).as_posix(): p for p in paths}
    kept = {k: p for k, p in names.items() if k.split("/")[0] not in APART}
    return {name: _content(path, folder) for name, path in kept.items()}


def empty(folder: Path) -> list[str]:
    """Files that have nothing in them."""
    return [str(p) for p in _paths(folder) if not p.stat().st_size]


def _paths(folder: Path) -> Iterator[Path]:
    for path, _, names in os.walk(folder, followlinks=True):  # some are on other disks
        yield from (Path(path) / name for name in names)


def _content(path: Path, folder: Path) -> Any:
    if path.suffix == ".npz":
        with np.load(path) as file:
            return {k: _checksum(file[k]) for k in file.files}
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [{k: v for k, v in row.items() if k not in TIMING} for row in rows]
    if path.suffix == ".json":
        # folders differ, in what was typed too
        return path.read_text().replace(str(folder), "FOLDER")
    return zlib.crc32(path.read_bytes())


def _checksum(values: np.ndarray) -> str:
    data = np.ascontiguousarray(values).tobytes()
    return f"{values.dtype}{values.shape}{zlib.crc32(data):08x}"


def newest(folder: Path) -> int:
    """The step of the newest checkpoint that has its name; 0 for none."""
    names = (p.name for p in (folder / MANAGED[0]).glob("*"))
    return max((int(name) for name in names if name.isdigit()), default=0)


def arrays(folder: Path) -> dict[str, str]:
    """{kind/step/path: checksum} of the newest checkpoint and every snapshot. Of the
    checkpoints before it, some are of the steps at which the run was stopped.
    """
    import jax
    import orbax.checkpoint as ocp

    from jaxdiff.train import checkpoint

    result = {}
    for kind in MANAGED:
        if not (folder / kind).is_dir():
            continue
        with checkpoint.open_manager(folder / kind, keep_last=None) as manager:
            steps = manager.all_steps()
            for step in steps if kind == "snapshots" else [max(steps)]:
                tree = manager.restore(step, args=ocp.args.PyTreeRestore())
                for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                    name = f"{kind}/{step}{jax.tree_util.keystr(path)}"
                    result[name] = _checksum(np.asarray(leaf))
    return result


if __name__ == "__main__":
    print(json.dumps({name: arrays(Path(name)) for name in sys.argv[1:]}))
