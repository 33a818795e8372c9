"""A run beside what diffusers made of the folder that was written of it.

python -m tests.interop.beside_diffusers OUT.npz WORKDIR

OUT.npz is that of tests/peers/diffusers_pipeline.py.
"""

import sys
from pathlib import Path

import numpy as np

from jaxdiff.runs.experiment import open_run

STEPS, SCALE = 50, 2.0


def levels(x: np.ndarray) -> np.ndarray:
    """Grey levels from 0 to 255, as numpy_to_pil of diffusers rounds them."""
    return (np.clip(x / 2 + 0.5, 0, 1) * 255).round().astype(int)


def main(stored: Path, workdir: Path) -> None:
    arrays, run = dict(np.load(stored)), open_run(workdir)
    noise, index = arrays["noise"], np.arange(len(arrays["noise"]))
    if run.config.task == "autoencoder":
        z = run.model.encode(noise)[0]
        report("codes", np.asarray(z), arrays["codes"])
        report("images", np.asarray(run.model.decode(z)), arrays["images"])
        return
    cond = arrays["labels"].astype(np.int32) if "labels" in arrays else None
    for name, scale in (("images", 1.0), ("guided", SCALE)):
        if name not in arrays:
            continue
        how = {"solver": "ddim", "grid": "discrete", "num_steps": STEPS}
        other = run.with_sampler(**how, guidance=scale)
        x = other.sampler().draw(other.params, 0, index, cond, x_T=noise)
        if run.config.data.name == "latents":
            x = run.source.decode(np.asarray(x)) / run.source.peak * 2 - 1
        report(name, np.asarray(x), arrays[name])


def report(name: str, x: np.ndarray, y: np.ndarray) -> None:
    error = np.abs(np.clip(x, -1, 1) - np.clip(y, -1, 1)) if name != "codes" else x - y
    apart = np.abs(levels(x) - levels(y))
    print(
        f"{name}: at most {np.abs(error).max():.2g} apart, deviation {y.std():.3g}; "
        f"grey levels equal in {100 * (apart == 0).mean():.3f} % of {apart.size:,} "
        f"values, within one in {100 * (apart <= 1).mean():.3f} %"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
