"""The published Inception-v3, read from a safetensors file without torch.

The names are those of the state dict that the pytorch-fid project publishes as
pt_inception-2015-12-05-6726825d.pth. CONVERT makes the safetensors file, on a machine
that has torch.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxdiff.arrays import PyTree
from jaxdiff.interop import mapping, tensors
from jaxdiff.interop.mapping import Leaf
from jaxdiff.models.inception import SIDE, Inception

CONVERT = (
    "to convert pt_inception-2015-12-05-6726825d.pth of the pytorch-fid project: "
    'python -c "import torch, safetensors.torch as s; s.save_file(torch.load('
    "'pt_inception-2015-12-05-6726825d.pth', weights_only=True), "
    "'inception.safetensors')\""
)
# The published name of each leaf of the module.
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
LAYOUTS = {1: mapping.same, 2: mapping.dense, 4: mapping.conv}


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
    stored = tensors.read(path, CONVERT)
    stored = {name: a for name, a in stored.items() if not _unused(name)}
    x = jnp.zeros((1, SIDE, SIDE, 3))
    like = jax.eval_shape(Inception().init, jax.random.key(0), x)
    try:
        variables = mapping.read(_table(like), stored, like)
    except ValueError as error:
        raise ValueError(
            f"{path} is not the Inception that FID is defined with: {error}; {CONVERT}"
        ) from None
    return Inception(), jax.tree.map(jnp.asarray, variables)


def _table(like: PyTree) -> list[Leaf]:
    """params/Mixed_5b/branch1x1/conv/kernel is Mixed_5b.branch1x1.conv.weight there."""
    table = []
    for keys, leaf in jax.tree.leaves_with_path(like):
        _, *parts, last = names = [key.key for key in keys]
        theirs = ".".join([*parts, LEAVES[last]])
        table.append(Leaf("/".join(names), (theirs,), LAYOUTS[leaf.ndim]))
    return table


def _unused(name):
    tracked = name.endswith(".num_batches_tracked")
    return tracked or name.startswith("AuxLogits.") or name == "fc.bias"
