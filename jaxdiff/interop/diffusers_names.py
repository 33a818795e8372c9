"""The names of diffusers' UNet2DModel and AutoencoderKL, as a table of our parameters.

Levels are counted from the finest on the way down, and from the coarsest on the way up.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jaxdiff.arrays import PyTree
from jaxdiff.interop import mapping
from jaxdiff.interop.mapping import Leaf, dense, joined, plain, pointwise

__all__ = ["renamed", "table"]

# The layers of a network or of one half of it, and of its levels by half, level and
# place.
OUTER = {
    "stem": "conv_in",
    "middle_in": "mid_block.resnets.0",
    "middle_attention": "mid_block.attentions.0",
    "middle_out": "mid_block.resnets.1",
    "norm": "conv_norm_out",
    "out": "conv_out",
    "res": "{}_blocks.{}.resnets.{}",
    "attention": "{}_blocks.{}.attentions.{}",
    "down": "{}_blocks.{}.downsamplers.0",
    "up": "{}_blocks.{}.upsamplers.0",
}
# Inside a residual block, an attention layer or one that resamples.
INNER = {
    "norm_in": "norm1",
    "conv_in": "conv1",
    "emb": "time_emb_proj",
    "norm_out": "norm2",
    "conv_out": "conv2",
    "skip": "conv_shortcut",
    "norm": "group_norm",
    "out": "to_out.0",
    "conv": "conv",
}
QUERIES = ("to_q", "to_k", "to_v")
# Layers with names of their own, by their path.
WHOLE = {
    "conditioning/time_in": "time_embedding.linear_1",
    "conditioning/time_out": "time_embedding.linear_2",
    "conditioning/label": "class_embedding",
    "encoder/latent": "encoder.conv_out",
    "encoder/latent_conv": "quant_conv",
    "decoder/latent": "decoder.conv_in",
    "decoder/latent_conv": "post_quant_conv",
}
# Layers that are convolutions of one pixel there.
POINTWISE = ("skip", "latent_conv")
# Older names of the layers of attention, which diffusers still reads.
OLDER = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


def renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors, or whatever is stored by their names, under today's names."""
    names = {name: name for name in tensors}
    for old, new in OLDER.items():
        names = {name: to.replace(old, new) for name, to in names.items()}
    return {to: tensors[name] for name, to in names.items()}


def table(like: PyTree) -> list[Leaf]:
    """The table of a U-Net's or an autoencoder's parameters, from their shapes."""
    levels = 1 + max(int(n.split("_")[1]) for n in like["encoder"] if n[:4] == "res_")
    return mapping.table(like, partial(_rename, levels, "decoder" in like), _layouts)


def _layouts(path: str) -> Any:
    last = path.rpartition("/")[2]
    if last == "qkv":
        return dense, joined
    return (pointwise(2), plain) if last in POINTWISE else None


def _rename(levels: int, is_coder: bool, path: str) -> str | Sequence[str]:
    if path in WHOLE:
        return WHOLE[path]
    half, _, rest = path.partition("/")
    if half not in ("encoder", "decoder"):  # a U-Net's way up has no folder
        half, rest = "decoder", path
    outer, _, inner = rest.partition("/")
    prefix = f"{half}." if is_coder else ""
    name = prefix + (OUTER[outer] if outer in OUTER else _place(levels, half, outer))
    if inner == "qkv":
        return [f"{name}.{one}" for one in QUERIES]
    return f"{name}.{INNER[inner]}" if inner else name


def _place(levels: int, half: str, outer: str) -> str:
    """Of a layer of a level, "res_0_1"."""
    kind, i, *j = outer.split("_")
    down = half == "encoder"
    level = int(i) if down else levels - 1 - int(i)
    return OUTER[kind].format("down" if down else "up", level, *j)
