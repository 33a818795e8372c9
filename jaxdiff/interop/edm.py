"""EDM's networks: ddpmpp and ncsnpp are our song_unet, adm is our unet.

Their pickles hold code, which imports modules of NVlabs/edm. `cure` is the command that
makes a safetensors file of one inside a checkout; its header states the preconditioning
and the standard deviation of the data. Names and shapes determine all else:

    model.enc.32x32_block0.conv0.weight     a layer of a block on maps of 32 x 32 pixels
    model.map_layer0.weight                 a layer of the embedding
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdiff import notes
from jaxdiff.arrays import PyTree, require
from jaxdiff.files import named
from jaxdiff.interop import mapping, preconds, tensors
from jaxdiff.interop.mapping import Foreign, Layout, Leaf
from jaxdiff.interop.preconds import PRECONDS
from jaxdiff.models.song_unet import FAMILIES

# A name that every file of this format has.
MARK = "model.map_layer0.weight"
# The layer of the class label.
LABEL = "model.map_label.weight"
# The layer of the label that describes an image's augmentation, which we lack.
AUGMENT = "model.map_augment.weight"
# Layers within our blocks -> theirs.
LAYERS = {
    "norm_in": "norm0",
    "conv_in": "conv0",
    "emb": "affine",
    "norm_out": "norm1",
    "conv_out": "conv1",
    "skip": "skip",
    "norm": "norm2",
    "qkv": "qkv",
    "out": "proj",
}
# Layers of pixels that are convolutions there and dense here.
PIXELWISE = ("skip", "qkv", "out")
# The channels of a head of adm; the others have one head.
HEAD = 64


class Net(NamedTuple):
    """The architecture of a file.

    side, image_channels: of an image.  classes: 0 without labels
    family: of song_unet.FAMILIES; "" for adm
    channels, multipliers, num_blocks, attention: as our makers take them
    """

    side: int
    image_channels: int
    classes: int
    family: str
    channels: int
    multipliers: tuple[int, ...]
    num_blocks: int
    attention: tuple[int, ...]


def cure(path: Path) -> str:
    """How to make a safetensors file of a published pickle."""
    pickle, file = path.with_suffix(".pkl"), path.with_suffix(tensors.SUFFIX)
    return (
        "to convert a pickle, in a checkout of NVlabs/edm: python -c "
        f"\"import pickle, safetensors.torch as s; n = pickle.load(open('{pickle}', "
        f"'rb'))['ema']; s.save_file(n.state_dict(), '{file}', {{'precond': "
        "type(n).__name__, 'sigma_data': str(getattr(n, 'sigma_data', ''))})\""
    )


def matches(path: Path) -> bool:
    """Whether this is a file of this format, or a pickle that `cure` converts."""
    return path.suffix == ".pkl" or (path.is_file() and MARK in tensors.shapes(path))


def make(
    path: Path, given: Mapping[str, Any] | None = None, *, precond: str = "auto"
) -> Foreign:
    """A model of EDM's: ddpmpp, ncsnpp or adm.

    Args:    path: a safetensors file.  given: unused, since the file determines all.
             precond: one of PRECONDS, or "auto" for what the file's header states.
    Returns: Foreign. A note names the augmentation's layer, which is left out.
    Errors:  FileNotFoundError; ValueError in one line for another format, an unknown
             preconditioning, or resampling by other filters.
    """
    del given
    shapes = tensors.shapes(path, cure(path))
    header = tensors.header(path, cure(path))
    precond = header.get("precond", "") if precond == "auto" else precond
    require(
        precond in PRECONDS,
        f"{path}: the preconditioning must be one of {', '.join(PRECONDS)}, got "
        f"{precond!r}; name it, as in --format='edm(precond=\"EDMPrecond\")'",
    )
    with named(path):
        net = net_of(shapes)
        fields = fields_of(net, precond, float(header.get("sigma_data") or 0.5))
    if AUGMENT in shapes:
        notes.note(
            f"{AUGMENT} is left out: this layer of the augmentation's label is not "
            "used in sampling"
        )
    return Foreign(
        fields=fields,
        assumed=preconds.assumed(precond, net.side, net.classes),
        shape=(net.side, net.side, net.image_channels),
        classes=net.classes,
        table=partial(table, net, precond),
        tensors=partial(_read, path, net),
    )


def save(
    path: Path, params: PyTree, net: Net, *, precond: str, sigma_data: float = 0.5
) -> None:
    """Write the file that `make` reads, of parameters of our network.

    It has every tensor of their state dict but the augmentation's.
    Errors: OSError.
    """
    arrays = mapping.write(table(net, precond, params), params) | filters(net)
    tensors.write(path, arrays, {"precond": precond, "sigma_data": str(sigma_data)})


def net_of(shapes: Mapping[str, tuple[int, ...]]) -> Net:
    """The architecture of a state dict, {name: shape}.

    Errors: ValueError for one of other networks.
    """
    pattern = re.compile(r"model\.enc\.(\d+)x\1_block(\d+)\.(conv0|qkv)\.weight")
    widths = {
        (int(match[1]), int(match[2]), match[3]): shape[0]
        for name, shape in shapes.items()
        if (match := pattern.fullmatch(name)) and len(shape) == 4
    }
    heights = sorted({height for height, *_ in widths}, reverse=True)
    side = heights[0] if heights else 0
    stem = shapes.get(f"model.enc.{side}x{side}_conv.weight", ())
    mark, label = (shapes.get(name, (0, 0)) for name in (MARK, LABEL))
    channels = mark[0] // 4 if mark else 0
    require(
        len(stem) == 4 and channels > 0 and len(label) == 2,
        f"it is not a network of EDM's: it lacks {MARK}, or the encoder's first layer",
    )
    is_song = f"model.dec.{side}x{side}_aux_conv.weight" in shapes
    family = "ncsnpp" if "model.map_noise.freqs" in shapes else "ddpmpp"
    return Net(
        side=side,
        image_channels=stem[1],
        classes=label[1],
        family=family if is_song else "",
        channels=channels,
        multipliers=tuple(widths.get((n, 0, "conv0"), 0) // channels for n in heights),
        num_blocks=1 + max(block for _, block, _ in widths),
        attention=tuple(n for n in heights if (n, 0, "qkv") in widths),
    )


def fields_of(net: Net, precond: str, sigma_data: float) -> dict[str, Any]:
    """The fields of a config that a file determines."""
    shared = ("channels", "multipliers", "num_blocks", "attention")
    model = {name: getattr(net, name) for name in shared}
    if net.family:
        model |= {"name": "song_unet", "family": net.family}
    else:
        model |= {"name": "unet", "embedding": "scale_shift", "resblock_updown": True}
        model |= {"num_heads": 0, "head_channels": HEAD, "time_embedding": "cos_sin"}
        model |= {"norm_groups": 0, "norm_eps": 1e-5}
    fields = {f"model.{name}": value for name, value in model.items()}
    return fields | preconds.fields(precond, sigma_data, net.classes)


def table(net: Net, precond: str, like: PyTree) -> list[Leaf]:
    """The table of our parameters; like: these, or their shapes."""
    blocks = _blocks(net)
    heads = {"num_heads": 1} if net.family else {"head_channels": HEAD}
    ordered = partial(mapping.ordered, order="hd3", **heads)

    def rename(layer):
        block, _, part = layer.rpartition("/")
        return blocks.get(layer) or f"{blocks[block]}.{LAYERS[part]}"

    def layouts(layer):
        part = layer.rpartition("/")[2]
        if layer == "out":  # of VE, the network gives -eps
            change = _negative if precond == "VEPrecond" else mapping.plain
            return mapping.conv, change
        if part in PIXELWISE:
            change = ordered if part == "qkv" else mapping.plain
            return mapping.pointwise(2), change
        return None

    rows = []
    for leaf in mapping.table(like, rename, layouts):
        # our table of labels is a dense layer there
        is_label = leaf.ours.endswith("/embedding")
        rows.append(leaf._replace(layout=mapping.dense) if is_label else leaf)
    waves = Leaf("conditioning/frequencies", ("model.map_noise.freqs",), mapping.same)
    return rows + [waves] * (net.family == "ncsnpp")


def filters(net: Net) -> dict[str, np.ndarray]:
    """The constants among their tensors: the filter of each layer that resamples."""
    taps = FAMILIES[net.family].taps if net.family else (1, 1)
    f = np.asarray(np.outer(taps, taps) / np.square(sum(taps)), np.float32)
    names = []
    for ours, there in _blocks(net).items():
        kind = ours.removeprefix("encoder/").partition("_")[0]
        if kind == "image" and net.family == "ncsnpp":
            names.append(there)
        elif kind in ("down", "up"):
            names += [f"{there}.conv0", f"{there}.skip"]
    return {f"{name}.resample_filter": f[None, None] for name in names}


def _negative(layout: Layout) -> Layout:
    return Layout(
        lambda t: -layout.to_ours(t),
        lambda a: tuple(-tensor for tensor in layout.to_theirs(a)),
    )


def _blocks(net: Net) -> dict[str, str]:
    """Our blocks, and our layers outside of blocks, -> theirs."""

    def at(level, part, name):
        side = net.side >> level
        return f"model.{part}.{side}x{side}_{name}"

    last = len(net.multipliers) - 1
    names = {
        "conditioning/time_in": "model.map_layer0",
        "conditioning/time_out": "model.map_layer1",
        "conditioning/label": "model.map_label",
        "encoder/stem": at(0, "enc", "conv"),
        "encoder/middle_in": at(last, "dec", "in0"),
        "encoder/middle_attention": at(last, "dec", "in0"),
        "encoder/middle_out": at(last, "dec", "in1"),
        "norm": at(0, "dec", "aux_norm") if net.family else "model.out_norm",
        "out": at(0, "dec", "aux_conv") if net.family else "model.out_conv",
    }
    for i in range(last + 1):
        for j in range(net.num_blocks + 1):
            for kind in ("res", "attention"):
                names[f"encoder/{kind}_{i}_{j}"] = at(i, "enc", f"block{j}")
                names[f"{kind}_{i}_{j}"] = at(i, "dec", f"block{j}")
    for i in range(last):
        names[f"encoder/down_{i}"] = at(i + 1, "enc", "down")
        names[f"encoder/image_{i}"] = at(i + 1, "enc", "aux_residual")
        names[f"up_{i + 1}"] = at(i, "dec", "up")
    return names


def _read(path: Path, net: Net) -> dict[str, np.ndarray]:
    """The tensors of the table. Errors: ValueError for another filter."""
    stored = tensors.read(path, cure(path))
    stored.pop(AUGMENT, None)
    for name, f in filters(net).items():
        same = np.array_equal(stored.pop(name, f), f)
        require(same, f"{path}: {name} must be the filter of {net.family or 'adm'}")
    return stored
