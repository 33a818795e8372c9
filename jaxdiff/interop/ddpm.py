"""DDPM's U-Net, by the names of its port to PyTorch, pesser/pytorch_diffusion.

Names and shapes determine the network but for the size of the images. That and the
noise come from the config; for DDPM's CIFAR-10 and 256x256 networks, from `_published`.
Source: Ho et al. 2020, arXiv:2006.11239.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxdiff.arrays import PyTree
from jaxdiff.interop import mapping, tensors
from jaxdiff.interop.mapping import Foreign, Leaf
from jaxdiff.interop.published import side_of

BLOCK = {
    "norm_in": "norm1",
    "conv_in": "conv1",
    "emb": "temb_proj",
    "norm_out": "norm2",
    "conv_out": "conv2",
    "skip": "nin_shortcut",
    "conv": "conv",
}
ATTENTION = {"norm": "norm", "qkv": ("q", "k", "v"), "out": "proj_out"}
LAYERS = {
    "conditioning/time_in": "temb.dense.0",
    "conditioning/time_out": "temb.dense.1",
    "encoder/stem": "conv_in",
    "norm": "norm_out",
    "out": "conv_out",
}
MIDDLE = {"in": "mid.block_1", "attention": "mid.attn_1", "out": "mid.block_2"}


def matches(path: Path) -> bool:
    """Whether a file has the names of these networks. Errors: as tensors.shapes."""
    if not tensors.is_weights(path):
        return False
    return {"temb.dense.0.weight", "mid.attn_1.q.weight"} <= {*tensors.shapes(path)}


def make(path: Path, given: Mapping[str, Any] | None) -> Foreign:
    """The network of a file.

    Args:   given: the fields of a config; None for those of the published networks.
    Errors: ValueError for names and shapes of no such network, and for one that was not
            published without a config. FileNotFoundError.
    """
    shapes = tensors.shapes(path)
    try:
        fields, levels = parse(shapes)
        assumed = _published(fields["model.multipliers"], levels)
        side = side_of(given, assumed.get("data.size", 0))
        channels = shapes["conv_in.weight"][1]
    except KeyError as error:
        raise ValueError(
            f"{path}: it is no U-Net of DDPM: {error} is missing"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    fields["model.attention"] = tuple(side >> i for i in levels)
    shape = (side, side, channels)
    return Foreign(fields, assumed, shape, 0, table, partial(tensors.read, path))


def parse(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Any], list[int]]:
    """The fields that names and shapes determine, and the levels with attention.

    Errors: KeyError for the names of another network.
    """
    at = [re.match(r"down\.(\d+)\.block\.(\d+)\.", name) for name in shapes]
    levels, blocks = (1 + max(int(m[i]) for m in at if m) for i in (1, 2))
    channels = shapes["temb.dense.0.weight"][1]
    widths = [shapes[f"down.{i}.block.0.conv1.weight"][0] for i in range(levels)]
    learned = "down.0.downsample.conv.weight" in shapes
    fields = {
        "task": "diffusion",
        "model.name": "unet",
        "model.channels": channels,
        "model.multipliers": tuple(width // channels for width in widths),
        "model.num_blocks": blocks,
        "model.num_heads": 1,
        "model.embedding": "add",
        "model.resblock_updown": False,
        # 0 is 32 too, from 128 channels on
        "model.norm_groups": 0 if min(widths) >= 128 else 32,
        "model.norm_eps": 1e-6,
        "diffusion.condition": "none",
        "diffusion.learned_variance": False,
    }
    if levels > 1:
        fields["model.conv_resample"] = learned
        fields["model.downsample_padding"] = "far" if learned else "all"
    attended = [i for i in range(levels) if f"down.{i}.attn.0.q.weight" in shapes]
    return fields, attended


def table(like: PyTree) -> list[Leaf]:
    """The table of our U-Net's parameters."""
    return mapping.table(like, _rename, _layouts)


def _rename(layer: str) -> str | tuple[str, ...]:
    if layer in LAYERS:
        return LAYERS[layer]
    block, _, part = layer.rpartition("/")
    kind, *numbers = block.rpartition("/")[2].split("_")
    side = "down" if "encoder" in block else "up"
    if kind == "middle":
        place, attends = MIDDLE[numbers[0]], numbers[0] == "attention"
    elif kind in ("down", "up"):
        place, attends = f"{side}.{numbers[0]}.{side}sample", False
    else:
        attends = kind == "attention"
        place = f"{side}.{numbers[0]}.{'attn' if attends else 'block'}.{numbers[1]}"
    names = ATTENTION[part] if attends else BLOCK[part]
    if isinstance(names, str):
        return f"{place}.{names}"
    return tuple(f"{place}.{name}" for name in names)


def _layouts(layer: str):
    part = layer.rpartition("/")[2]
    if part == "qkv":
        return mapping.pointwise(2), mapping.joined
    if part == "skip" or (part == "out" and layer != "out"):
        return mapping.pointwise(2), mapping.plain
    return None


def _published(multipliers: tuple[int, ...], levels: list[int]) -> dict[str, Any]:
    """The config of DDPM's CIFAR-10 network, or of its 256x256 networks of LSUN, of
    which that of the bedrooms is assumed; {} for another.
    """
    sizes = {((1, 2, 2, 2), (1,)): 32, ((1, 1, 2, 2, 4, 4), (4,)): 256}
    size = sizes.get((multipliers, (*levels,)), 0)
    if not size:
        return {}
    small = size == 32
    return {
        "data.name": "tfds",
        "data.dataset": "cifar10" if small else "lsun/bedroom",
        "data.size": size,
        "data.flip": True,
        "model.dropout": 0.1 if small else 0.0,
        "diffusion.schedule": "linear_beta",
        "diffusion.prediction": "eps",
        "diffusion.times": "discrete(num_steps=1000)",
        "diffusion.stratified": False,
        "train.lr": "constant(peak=2e-4, warmup=5000)",
        "train.clip_norm": 1.0,
        "train.ema": "constant(decay=0.9999)",
        "sampler.solver": f'ddpm(variance="{"large" if small else "small"}")',
        "sampler.grid": "discrete",
        "sampler.num_steps": 1000,
        "sampler.batch_size": 256 if small else 16,
    }
