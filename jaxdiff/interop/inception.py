"""The published Inception-v3, read from a safetensors file without torch.

The names are those of the state dict that the pytorch-fid project publishes as
pt_inception-2015-12-05-6726825d.pth. CONVERT makes the safetensors file, on a machine
that has torch.
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
# The published name of each leaf of the module, and the order of its axes there: torch
# stores (out, in, height, width) and (out, in).
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
# How many wrong names an error lists.
MOST_NAMES = 3


def load(path: Path) -> tuple[Inception, PyTree]:
    """The network and its variables, f32.

    The file may hold arrays that the network does not use: the auxiliary classifier
    (AuxLogits), the numbers of batches that norms have seen (num_batches_tracked), and
    fc.bias.

    Errors: FileNotFoundError if there is no file. ValueError for another format, for
            missing or unknown names and for other shapes; the message gives the command
            that converts the published file. ValueError without the package
            safetensors.
    """
    stored = {name: a for name, a in read(path).items() if not _unused(name)}
    expected, tree = _expected()
    for what, names in (
        ("lacks", [name for name in expected if name not in stored]),
        ("has the unknown", [name for name in stored if name not in expected]),
    ):
        rest = len(names) - MOST_NAMES
        others = f" and {rest} more" if rest > 0 else ""
        require(
            not names,
            f"{path} is not the Inception that FID is defined with: it "
            f"{what} {', '.join(names[:MOST_NAMES])}{others}; {CONVERT}",
        )
    arrays = []
    for name, shape in expected.items():
        a, axes = stored[name], AXES[len(shape)]
        their_shape = tuple(shape[i] for i in np.argsort(axes))
        require(
            a.shape == their_shape,
            f"{path}: {name} must be of shape {their_shape}, got {a.shape}; {CONVERT}",
        )
        arrays.append(jnp.asarray(np.float32(a.transpose(axes))))
    return Inception(), jax.tree.unflatten(tree, arrays)


def is_weights(path: Path) -> bool:
    """Whether a path is of a file of weights, there or not, rather than of a folder."""
    return path.is_file() or path.suffix == SUFFIX


def read(path: Path) -> dict[str, np.ndarray]:
    """Every array of a safetensors file by its name.

    Errors: as for `load`.
    """
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} cannot be read without safetensors: pip install "
            "'jaxdiff[inception]'"
        ) from None
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} of weights; {CONVERT}")
    try:
        return safetensors.numpy.load_file(path)
    except Exception as error:  # also for types of numbers that numpy does not have
        raise ValueError(
            f"{path} is not a safetensors file ({error}); {CONVERT}"
        ) from None


@lru_cache
def _expected():
    """Name -> shape of the module's parameters, with its order of axes, and their tree.

    (params, Mixed_5b, branch1x1, conv, kernel) is Mixed_5b.branch1x1.conv.weight.
    """
    x = jnp.zeros((1, SIDE, SIDE, 3))
    like = jax.eval_shape(Inception().init, jax.random.key(0), x)
    leaves, tree = jax.tree.flatten_with_path(like)
    expected = {}
    for keys, leaf in leaves:
        _, *parts, last = (key.key for key in keys)
        expected[".".join([*parts, LEAVES[last]])] = leaf.shape
    return expected, tree


def _unused(name):
    tracked = name.endswith(".num_batches_tracked")
    return tracked or name.startswith("AuxLogits.") or name == "fc.bias"
