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
from jaxdiff.models.inception import SIDE, Inception

CONVERT = (
    "to convert pt_inception-2015-12-05-6726825d.pth of the pytorch-fid project: "
    'python -c "import torch, safetensors.torch as s; s.save_file(torch.load('
    "'pt_inception-2015-12-05-6726825d.pth', weights_only=True), "
    "'inception.safetensors')\""
)


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
        variables = mapping.read(mapping.table(like, _rename), stored, like)
    except ValueError as error:
        raise ValueError(
            f"{path} is not the Inception that FID is defined with: {error}; {CONVERT}"
        ) from None
    return Inception(), jax.tree.map(jnp.asarray, variables)


def _rename(layer: str) -> str:
    """params/Mixed_5b/branch1x1/conv is Mixed_5b.branch1x1.conv there."""
    return layer.partition("/")[2].replace("/", ".")


def _unused(name):
    tracked = name.endswith(".num_batches_tracked")
    return tracked or name.startswith("AuxLogits.") or name == "fc.bias"
