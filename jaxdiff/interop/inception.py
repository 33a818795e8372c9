"""The published Inception-v3 read from a safetensors file, without torch.

The names are those of the state dict that the pytorch-fid project publishes as
pt_inception-2015-12-05-6726825d.pth. CONVERT makes the file of it, where torch is.
"""

from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff.arrays import PyTree, require
from jaxdiff.models.inception import SIDE, Inception

SUFFIX = ".safetensors"
CONVERT = (
    "to convert pt_inception-2015-12-05-6726825d.pth of the pytorch-fid project: "
    'python -c "import torch, safetensors.torch as s; s.save_file(torch.load('
    "'pt_inception-2015-12-05-6726825d.pth', weights_only=True), "
    "'inception.safetensors')\""
)
# What the leaves of the module are called there, and where its axes come from: torch
# keeps (out, in, height, width) and (out, in).
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
# Names that are told at once, of those that are wrong.
TOLD = 3


def load(path: Path) -> tuple[Inception, PyTree]:
    """The network and its variables, f32.

    Numbers it has no use for may be there: of the auxiliary classifier (AuxLogits), how
    many batches a norm has seen (num_batches_tracked), and fc.bias.

    Errors: FileNotFoundError for no file; ValueError for one of another format, for
            names that are missing or unknown and for other shapes; all say how to
            convert the published file. ValueError without the package safetensors.
    """
    found = {name: a for name, a in read(path).items() if not _unused(name)}
    want, tree = _wanted()
    for what, names in (
        ("lacks", [name for name in want if name not in found]),
        ("has the unknown", [name for name in found if name not in want]),
    ):
        others = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
        require(
            not names,
            f"{path} is not the Inception that Frechet distances are taken with: it "
            f"{what} {', '.join(names[:TOLD])}{others}; {CONVERT}",
        )
    arrays = []
    for name, shape in want.items():
        a, axes = found[name], AXES[len(shape)]
        expected = tuple(shape[i] for i in np.argsort(axes))
        require(
            a.shape == expected,
            f"{path}: {name} must be of shape {expected}, got {a.shape}; {CONVERT}",
        )
        arrays.append(jnp.asarray(np.float32(a.transpose(axes))))
    return Inception(), jax.tree.unflatten(tree, arrays)


def read(path: Path) -> dict[str, np.ndarray]:
    """Every array of a safetensors file by its name. Errors: as `load`."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} cannot be read without safetensors: pip install "
            "'jaxdiff[inception]'"
        ) from None
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} of weights; {CONVERT}")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a safetensors file ({error}); {CONVERT}"
        ) from None


@lru_cache
def _wanted():
    """Name -> shape of the module's numbers, in its own order of axes, and their tree.

    (params, Mixed_5b, branch1x1, conv, kernel) is Mixed_5b.branch1x1.conv.weight.
    """
    x = jnp.zeros((1, SIDE, SIDE, 3))
    like = jax.eval_shape(Inception().init, jax.random.key(0), x)
    leaves, tree = jax.tree.flatten_with_path(like)
    want = {}
    for keys, leaf in leaves:
        _, *parts, last = (key.key for key in keys)
        want[".".join([*parts, LEAVES[last]])] = leaf.shape
    return want, tree


def _unused(name):
    tracked = name.endswith(".num_batches_tracked")
    return tracked or name.startswith("AuxLogits.") or name == "fc.bias"
