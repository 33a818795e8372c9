"""What the names and shapes of OpenAI's networks determine (openai.py)."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from jaxdiff.arrays import require

# The positions of a classifier's attention pooling, (channels, pixels + 1).
POSITION = "out.2.positional_embedding"


class Network(NamedTuple):
    """What names and shapes determine.

    levels:    those with attention, the finest is 0
    resample:  "block", "conv" or "mean": how images are halved
    side:      of the images in pixels; 0 if it is not determined
    """

    is_classifier: bool
    in_channels: int
    out_channels: int
    channels: int
    multipliers: tuple[int | float, ...]
    num_blocks: int
    levels: tuple[int, ...]
    embedding: str
    resample: str
    classes: int
    side: int

    @property
    def is_upsampler(self) -> bool:
        """Whether the input is two images of 1 or 3 channels."""
        return self.in_channels in (2, 6)

    @property
    def image_channels(self) -> int:
        return self.in_channels // (2 if self.is_upsampler else 1)


def parse(shapes: Mapping[str, tuple[int, ...]], num_blocks: int = 0) -> Network:
    """What names and shapes determine. num_blocks: of a config, or 0.

    Errors: ValueError for those of another network.
    """
    try:
        return _parse(shapes, num_blocks)
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise ValueError(
            "it is no U-Net, and no classifier with attention pooling, of OpenAI's: "
            f"{error} is missing, or of another rank"
        ) from None


def _parse(shapes, num_blocks):
    first = "input_blocks.1.0"
    norm, emb = (
        shapes[f"{first}.{name}.weight"][0] for name in ("out_layers.0", "emb_layers.1")
    )
    is_classifier = POSITION in shapes
    depth, resample = _depth(shapes, num_blocks)
    blocks = _input_blocks(shapes)
    levels = [blocks[i : i + depth] for i in range(0, len(blocks), depth + 1)]
    width = shapes["time_embed.0.weight"][1]
    sizes = [block.width for block, *_ in levels]
    out = shapes["out.2.c_proj.weight" if is_classifier else "out.2.weight"]
    labels = out if is_classifier else shapes.get("label_emb.weight", (0,))
    positions = shapes[POSITION][1] - 1 if is_classifier else 0
    return Network(
        is_classifier,
        in_channels=shapes["input_blocks.0.0.weight"][1],
        out_channels=out[0],
        channels=width,
        multipliers=tuple(n // width if n % width == 0 else n / width for n in sizes),
        num_blocks=depth,
        levels=tuple(i for i, (block, *_) in enumerate(levels) if block.attends),
        embedding="scale_shift" if emb == 2 * norm else "add",
        resample=resample,
        classes=labels[0],
        side=round(positions**0.5) * 2 ** (len(levels) - 1),
    )


class Block(NamedTuple):
    """One of the input blocks.

    width:     its channels; 0 for a block without arrays or with a convolution alone
    may_halve: whether it may be the one between two levels
    resample:  "block", "conv" or "mean", as of the Network
    """

    width: int
    attends: bool
    may_halve: bool
    resample: str


def _input_blocks(shapes):
    """Those after the stem."""
    numbers = [re.match(r"input_blocks\.(\d+)\.", name) for name in shapes]
    blocks = []
    for i in range(1, 1 + max(int(m[1]) for m in numbers if m)):
        at = f"input_blocks.{i}"
        weight = shapes.get(f"{at}.0.in_layers.2.weight")
        attends = f"{at}.1.qkv.weight" in shapes
        if weight is None:
            resample = "conv" if f"{at}.0.op.weight" in shapes else "mean"
            blocks.append(Block(0, False, True, resample))
        else:
            same = weight[0] == weight[1] and not attends
            blocks.append(Block(weight[0], attends, same, "block"))
    return blocks


def _depth(shapes, num_blocks):
    """The number of blocks of each level, and how images are halved."""
    blocks = _input_blocks(shapes)
    fit = [n for n in range(1, len(blocks) + 1) if _fits(shapes, blocks, n)]
    require(fit, "its input blocks form no levels of equal depth")
    depth = num_blocks if num_blocks in fit else fit[0]
    require(
        len(fit) == 1 or depth == num_blocks,
        f"the blocks of a level may be {' or '.join(map(str, fit))}; give a --config "
        "with model.num_blocks",
    )
    return depth, (blocks[depth].resample if depth < len(blocks) else "block")


def _fits(shapes, blocks, depth):
    """Whether levels of that depth, each with a block that halves, are what there is:
    of one width each, with attention in all blocks or none.
    """
    levels = [blocks[i : i + depth] for i in range(0, len(blocks), depth + 1)]
    halving = blocks[depth :: depth + 1]
    alike = all(len({b[:2] for b in level}) == 1 for level in levels)
    widths = [
        (level[0].width, b.width) for level, b in zip(levels, halving, strict=False)
    ]
    # a U-Net doubles after depth + 1 blocks each
    pattern = r"output_blocks\.(\d+)\.[12]\.(conv|in_layers\.2)\.weight"
    doubling = {int(m[1]) for name in shapes if (m := re.fullmatch(pattern, name))}
    expected = {(depth + 1) * i - 1 for i in range(1, len(levels))}
    return (
        alike
        and len(levels[-1]) == depth
        and all(level[0].width for level in levels)
        and all(b.may_halve for b in halving)
        and len({b.resample for b in halving}) < 2
        and all(after in (0, before) for before, after in widths)
        and doubling in (set(), expected)
    )
