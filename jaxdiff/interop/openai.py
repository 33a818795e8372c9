"""Networks of OpenAI's improved-diffusion and guided-diffusion: U-Net, upsampler and
classifier of noisy images.

Names and shapes determine the network but for the size of the images, the width of the
heads and the order of queries, keys and values. They do not determine the noise. These
come from the config; for the networks that were published, from PUBLISHED.
Source: Nichol & Dhariwal 2021, arXiv:2102.09672; Dhariwal & Nichol 2021,
arXiv:2105.05233; the names and flags of the code released with them.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxdiff import notes
from jaxdiff.arrays import PyTree, require
from jaxdiff.interop import mapping, tensors
from jaxdiff.interop.mapping import Foreign, Leaf
from jaxdiff.interop.openai_network import POSITION, Network, parse
from jaxdiff.interop.published import PUBLISHED, Published, classifier, side_of

ORDERS = {"old": "h3d", "new": "3hd"}
# Our parts of a residual block, and of attention, by their names there.
PARTS = {
    "norm_in": "in_layers.0",
    "conv_in": "in_layers.2",
    "emb": "emb_layers.1",
    "norm_out": "out_layers.0",
    "conv_out": "out_layers.3",
    "skip": "skip_connection",
    "norm": "norm",
    "qkv": "qkv",
    "out": "proj_out",
}
LAYERS = {
    "conditioning/time_in": "time_embed.0",
    "conditioning/time_out": "time_embed.2",
    "conditioning/label": "label_emb",
    "encoder/stem": "input_blocks.0.0",
    "norm": "out.0",
    "out": "out.2",
    "pool/qkv": "out.2.qkv_proj",
}
MIDDLE = {"middle_in": 0, "middle_attention": 1, "middle_out": 2}


def matches(path: Path) -> bool:
    """Whether a file has the names of these networks. Errors: as tensors.shapes."""
    if not tensors.is_weights(path):
        return False
    names = {
        "time_embed.0.weight",
        "input_blocks.0.0.weight",
        "middle_block.1.qkv.bias",
    }
    return names <= {*tensors.shapes(path)}


def make(
    path: Path, given: Mapping[str, Any] | None, *, order: str = "auto"
) -> Foreign:
    """The network of a file.

    Args:   given: the fields of a config; None for those of PUBLISHED.
            order: of queries, keys and values: "old" (in each head), "new" (heads in
            each), or "auto": that of the published network, otherwise "old", with a
            note where several heads make them differ.
    Errors: ValueError for names and shapes of no such network, and for one that was not
            published without a config. FileNotFoundError.
    """
    choices = ("auto", *ORDERS)
    require(order in choices, f"order must be one of {choices}, got {order=}")
    shapes = tensors.shapes(path)
    try:
        network = parse(shapes, given["model.num_blocks"] if given else 0)
        known = _published(network)
        side = side_of(given, known.side if known else 0, network.side)
        _check_low(network, given)
        fields = _fields(network, side)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    heads = given or (known.fields if known else {})
    if order == "auto" and not known and heads["model.num_heads"] != 1:
        notes.note(
            f"{path}: nothing in it shows the order of queries, keys and values; it is "
            "taken to be the old one. The other is --format='openai(order=\"new\")'"
        )
    order = order if order != "auto" else known.order if known else "old"
    return Foreign(
        fields,
        known.fields if known else {},
        (side, side, network.image_channels),
        network.classes,
        partial(
            table,
            order=ORDERS[order],
            num_heads=heads["model.num_heads"],
            head_channels=heads["model.head_channels"],
        ),
        partial(tensors.read, path),
    )


def table(
    like: PyTree, *, order: str, num_heads: int = 0, head_channels: int = 0
) -> list[Leaf]:
    """The table of our U-Net's or classifier's parameters.

    order: see mapping.ordered.  num_heads, head_channels: the number of heads, or their
    width; the other is 0.
    """
    how = {"num_heads": num_heads, "head_channels": head_channels}
    ordered = partial(mapping.ordered, order=order, **how)
    levels = len([name for name in like["encoder"] if re.fullmatch(r"res_\d+_0", name)])
    blocks = len([name for name in like["encoder"] if name.startswith("res_0_")])
    pooled = "pool" in like

    def layouts(layer):
        part = layer.rpartition("/")[2]
        if part == "skip":
            return mapping.pointwise(2), mapping.plain
        if part == "qkv":
            return mapping.pointwise(1), mapping.plain if "pool" in layer else ordered
        if part == "out" and (pooled or layer != "out"):
            return mapping.pointwise(1), mapping.plain
        return None

    def place(block):
        """Where a block is there, of those of encoder and decoder."""
        kind, *numbers = block.rpartition("/")[2].split("_")
        if "middle" in block:
            return f"middle_block.{MIDDLE[block.rpartition('/')[2]]}"
        i, j = (*map(int, numbers), 0)[:2]
        if "encoder" in block:
            at = (blocks + 1) * i + (blocks + 1 if kind == "down" else j + 1)
            return f"input_blocks.{at}.{int(kind == 'attention')}"
        at = (blocks + 1) * (levels - 1 - i) + (blocks if kind == "up" else j)
        behind = kind == "up" and f"attention_{i}_0" in like
        return f"output_blocks.{at}.{int(kind != 'res') + behind}"

    def rename(layer):
        if layer in LAYERS:
            return LAYERS[layer] + ".c_proj" * (pooled and layer == "out")
        block, _, part = layer.rpartition("/")
        conv = "op" if "down" in block else "conv"
        return f"{place(block)}.{PARTS[part] if part != 'conv' else conv}"

    rows = mapping.table(like, rename, layouts)
    position = [Leaf("pool/position", (POSITION,), mapping.dense)]
    return rows + position * pooled


def _fields(n, side):
    """The fields of a config that a network determines."""
    halvings = len(n.multipliers) - 1
    require(
        side % 2**halvings == 0,
        f"images of side {side} cannot be halved {halvings} times",
    )
    fields = {
        "task": "classifier" if n.is_classifier else "diffusion",
        "model.name": "classifier" if n.is_classifier else "unet",
        "model.channels": n.channels,
        "model.multipliers": n.multipliers,
        "model.num_blocks": n.num_blocks,
        "model.attention": tuple(side >> i for i in n.levels),
        "model.embedding": n.embedding,
        # 0 is 32 too, from 128 channels on
        "model.norm_groups": 0 if n.channels * min(n.multipliers) >= 128 else 32,
        "model.time_embedding": "cos_sin",
    }
    if halvings:
        fields["model.resblock_updown"] = n.resample == "block"
    if halvings and n.resample != "block":
        fields["model.conv_resample"] = n.resample == "conv"
    if n.is_classifier:
        return fields
    outputs = n.out_channels / n.image_channels
    require(
        outputs in (1, 2), f"it has {n.in_channels} inputs, {n.out_channels} outputs"
    )
    fields["diffusion.learned_variance"] = outputs == 2
    fields["diffusion.condition"] = "label" if n.classes else "none"
    if n.classes:
        fields["diffusion.label_dropout"] = 0.0
    return fields


def _published(n: Network) -> Published | None:
    if n.is_classifier:
        return classifier(n.side) if (n.channels, n.classes) == (128, 1000) else None
    what = (
        n.channels,
        n.multipliers,
        n.num_blocks,
        n.levels,
        n.resample,
        n.is_upsampler,
    )
    same = [p for p in PUBLISHED if p[:6] == what and p.classes == n.classes]
    return same[0] if same else None


def _check_low(n, given):
    """ValueError for a config with an upsampler's field where this is none."""
    low = given["diffusion.low_size"] if given else 0
    require(
        not given or n.is_classifier or n.is_upsampler == (low > 0),
        f"it {'is an' if n.is_upsampler else 'is no'} upsampler, and the config has "
        f"diffusion.low_size={low}; give --config.diffusion.low_size="
        f"{'the side of the small images' if n.is_upsampler else 0}",
    )
