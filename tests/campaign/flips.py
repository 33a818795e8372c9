"""Single bits of a checkpoint's files, flipped one at a time and read by a run.

python -m tests.campaign.flips FOLDER TRIES SEED prints how many were harmless, how many
made the run take the checkpoint before, and what is wrong.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import jax
import numpy as np
from absl import logging

from jaxdiff.runs import workdir
from jaxdiff.runs.train import setup
from jaxdiff.train import checkpoint


def main(folder: Path, tries: int, seed: int) -> None:
    warned: list[str] = []
    logging.warning = lambda text, *a: warned.append(text % a)
    sys.unraisablehook = lambda *_: None  # orbax leaves coroutines behind that failed
    run = setup.prepare(workdir.load_config(folder), folder)
    like, checkpoints = jax.eval_shape(run.init), folder / workdir.CHECKPOINTS

    def read(step=None):
        with checkpoint.open_manager(checkpoints, keep_last=None) as manager:
            return checkpoint.restore(manager, like, step)

    older, newest = sorted(int(p.name) for p in checkpoints.iterdir())
    trees = {step: read(step) for step in (older, newest)}
    paths = [p for p in sorted((checkpoints / str(newest)).rglob("*")) if p.is_file()]
    gen, counts, faults = random.Random(seed), Counter(), []
    for k in range(tries):
        path = paths[k % len(paths)]
        data = path.read_bytes()
        bit = gen.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        warned.clear()
        about = f"bit {bit} of {path.relative_to(folder)}"
        try:
            tree = read()
        except Exception as error:
            faults.append(f"{about}: {error}")
            continue
        finally:
            path.write_bytes(data)
        named = [line for line in warned if f"step {newest} cannot be used" in line]
        used = older if named else newest
        counts["older one used" if named else "harmless"] += 1
        pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(trees[used]), strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            faults.append(f"{about}: other values than those of step {used}")
        if len(named) > 1 or (named and f"step {older} is used" not in named[0]):
            faults.append(f"{about}: {warned}")
    print(json.dumps({"moments": counts, "faults": faults, "signals": tries}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
