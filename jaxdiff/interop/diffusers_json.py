"""config.json of diffusers' networks, and the fields of our configs that it means."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxdiff.interop.diffusers_read import Fields, Json, Read

__all__ = [
    "CODER",
    "UNET",
    "coder_config",
    "coder_fields",
    "normal",
    "unet_config",
    "unet_fields",
]

# The files of a folder; the last is that of folders which jaxdiff has written.
INDEX, CONFIG, SCHEDULER = "model_index.json", "config.json", "scheduler_config.json"
WEIGHTS, RUN = "diffusion_pytorch_model.safetensors", "jaxdiff.json"

# What a key means that a file lacks: the defaults of diffusers.
UNET: Json = {
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ("DownBlock2D", *("AttnDownBlock2D",) * 3),
    "mid_block_type": "UNetMidBlock2D",
    "up_block_types": (*("AttnUpBlock2D",) * 3, "UpBlock2D"),
    "block_out_channels": (224, 448, 672, 896),
    "layers_per_block": 2,
    "mid_block_scale_factor": 1.0,
    "downsample_padding": 1,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "dropout": 0.0,
    "act_fn": "silu",
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default",
    "add_attention": True,
    "class_embed_type": None,
    "num_class_embeds": None,
    "num_train_timesteps": None,
}
CODER: Json = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",),
    "up_block_types": ("UpDecoderBlock2D",),
    "block_out_channels": (64,),
    "layers_per_block": 1,
    "act_fn": "silu",
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 32,
    "scaling_factor": 0.18215,
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
    "force_upcast": True,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "mid_block_add_attention": True,
}
# Values there -> values here.
STYLES = {(False, 1): "sin_cos", (True, 0): "cos_sin"}
EMBEDDINGS = {"default": "add", "scale_shift": "scale_shift"}
PADDINGS = {0: "far", 1: "all"}
SWISH = ("silu", "swish")
# What resamples in a level without attention, by the type of its block.
DOWN = {"DownBlock2D": "conv", "ResnetDownsampleBlock2D": "resnet"}
UP = {"UpBlock2D": "conv", "ResnetUpsampleBlock2D": "resnet"}
ATTENTION = ("AttnDownBlock2D", "AttnUpBlock2D")


def unet_fields(stored: Mapping[str, Any]) -> tuple[Fields, tuple[int, ...], int]:
    """The fields of a UNet2DModel, the shape (h, w, c) of its images, and the number of
    rows of its label table; 0 without labels.

    Errors: ValueError that lists every key without a counterpart.
    """
    c = Read(stored, UNET)
    c.need(not c["center_input_sample"], "center_input_sample")
    c.need(c["time_embedding_type"] == "positional", "time_embedding_type")
    c.need(c["mid_block_scale_factor"] == 1, "mid_block_scale_factor")
    c.need(c["class_embed_type"] is None, "class_embed_type")
    c.need(c["resnet_time_scale_shift"] in EMBEDDINGS, "resnet_time_scale_shift")
    style = (c["flip_sin_to_cos"], c["freq_shift"])
    c.need(style in STYLES, "flip_sin_to_cos", "freq_shift")
    first = c["block_out_channels"][0]
    c.need(c["time_embedding_dim"] in (None, 4 * first), "time_embedding_dim")
    size = c["sample_size"]
    c.need(isinstance(size, int) or (size and len(size) == 2), "sample_size")
    c.need(c["mid_block_type"] in (None, "UNetMidBlock2D"), "mid_block_type")
    middle = "attention" if c["add_attention"] else "residual"
    if c["mid_block_type"] is None:
        middle = "none"
    groups = c["attn_norm_num_groups"]
    if groups is None and c["resnet_time_scale_shift"] == "default":
        groups = c["norm_num_groups"]
    fits = middle != "attention" or groups == c["norm_num_groups"]
    c.need(fits, "attn_norm_num_groups", "resnet_time_scale_shift")
    ratio = c["out_channels"] / c["in_channels"]
    c.need(ratio in (1, 2), "in_channels", "out_channels")
    levels, resample = _levels(c)
    head = c["attention_head_dim"]
    fields = {
        "task": "diffusion",
        "model.name": "unet",
        **_common(c),
        "model.middle": middle,
        "model.norm_eps": float(c["norm_eps"]),
        "model.dropout": float(c["dropout"]),
        "model.num_heads": int(head is None),
        "model.head_channels": head or 0,
        "model.embedding": EMBEDDINGS.get(c["resnet_time_scale_shift"], ""),
        "model.time_embedding": STYLES.get(style, ""),
        "model.resblock_updown": resample == "resnet",
        "diffusion.learned_variance": ratio == 2,
    }
    if resample == "conv":
        fields["model.conv_resample"] = True
        c.need(c["downsample_padding"] in PADDINGS, "downsample_padding")
        fields["model.downsample_padding"] = PADDINGS.get(c["downsample_padding"], "")
    c.check()
    shape = _shape(c)
    fields["model.attention"] = tuple(shape[0] // 2**i for i in levels)
    return fields, shape, c["num_class_embeds"] or 0


def _levels(c: Read) -> tuple[list[int], str]:
    """The levels with attention, and what resamples, "conv" or "resnet"."""
    down = [kind.removeprefix("UNetRes") for kind in c["down_block_types"]]
    up = [kind.removeprefix("UNetRes") for kind in c["up_block_types"]][::-1]
    levels = [i for i, kind in enumerate(down) if kind == ATTENTION[0]]
    same = [i for i, kind in enumerate(up) if kind == ATTENTION[1]]
    ways = {DOWN.get(kind, c["downsample_type"]) for kind in down[:-1]}
    ways |= {UP.get(kind, c["upsample_type"]) for kind in up[1:]}
    known = {*down, *up} <= {*DOWN, *UP, *ATTENTION}
    fits = known and levels == same and len(down) == len(up)
    c.need(fits, "down_block_types", "up_block_types")
    keys = ("down_block_types", "downsample_type", "up_block_types", "upsample_type")
    c.need(not known or ways in ({"conv"}, {"resnet"}, set()), *keys)
    return levels, "resnet" if ways == {"resnet"} else "conv"


def _common(c: Read) -> Fields:
    """Of both networks."""
    sizes = c["block_out_channels"]
    c.need(all(size % sizes[0] == 0 for size in sizes), "block_out_channels")
    c.need(len(sizes) == len(c["down_block_types"]), "block_out_channels")
    c.need(c["act_fn"] in SWISH, "act_fn")
    return {
        "model.channels": sizes[0],
        "model.multipliers": tuple(size // sizes[0] for size in sizes),
        "model.num_blocks": c["layers_per_block"],
        "model.norm_groups": c["norm_num_groups"],
    }


def _shape(c: Read) -> tuple[int, ...]:
    size = c["sample_size"]
    height, width = (size, size) if isinstance(size, int) else size
    return height, width, c["in_channels"]


def coder_fields(stored: Mapping[str, Any]) -> tuple[Fields, tuple[int, ...], float]:
    """The fields of an AutoencoderKL, the shape of its images, and the factor by which
    a pipeline scales its codes.

    Errors: ValueError that lists every key without a counterpart.
    """
    c = Read(stored, CODER)
    c.need({*c["down_block_types"]} == {"DownEncoderBlock2D"}, "down_block_types")
    c.need({*c["up_block_types"]} == {"UpDecoderBlock2D"}, "up_block_types")
    for key in ("shift_factor", "latents_mean", "latents_std"):
        c.need(c[key] is None, key)
    c.need(c["scaling_factor"] > 0, "scaling_factor")
    both = ("use_quant_conv", "use_post_quant_conv")
    c.need(c[both[0]] == c[both[1]], *both)
    c.need(c["in_channels"] == c["out_channels"], "in_channels", "out_channels")
    fields = {
        "task": "autoencoder",
        "model.name": "autoencoder",
        **_common(c),
        "model.middle": "attention" if c["mid_block_add_attention"] else "residual",
        "model.norm_eps": 1e-6,
        "model.downsample_padding": "far",
        "model.decoder_blocks": c["layers_per_block"] + 1,
        "model.latent_size": 0,
        "model.latent_channels": c["latent_channels"],
        "model.latent_conv": c["use_quant_conv"],
    }
    c.check()
    return fields, _shape(c), float(c["scaling_factor"])


def normal(fields: Mapping[str, Any]) -> Fields:
    """The same model in the one way of several in which a folder reads back."""
    f = dict(fields)
    is_unet, levels = f["model.name"] == "unet", len(f["model.multipliers"])
    if f["model.middle"] == "auto":
        f["model.middle"] = "attention" if is_unet else "none"
    f["model.decoder_blocks"] = f["model.decoder_blocks"] or f["model.num_blocks"]
    f["model.multipliers"] = tuple(f["model.multipliers"])
    f["model.attention"] = tuple(sorted(f["model.attention"], reverse=True))
    sizes = [f["model.channels"] * one for one in f["model.multipliers"]]
    attended = set(sizes[-1:] if f["model.middle"] == "attention" else ())
    if f["model.attention"]:  # by height, and the finest is that of the data
        attended |= {sizes[i] for i in range(levels)}
    if f["model.num_heads"] > 1 and len(attended) == 1:
        f["model.head_channels"] = max(attended) // f["model.num_heads"]
        f["model.num_heads"] = 0
    return f


def unet_config(fields: Fields, shape: Sequence[int], rows: int) -> Json:
    """The inverse of `unet_fields` for normal fields, as far as there is one."""
    m = {k.removeprefix("model."): v for k, v in fields.items() if k[:6] == "model."}
    levels = [shape[0] // 2**i in m["attention"] for i in range(len(m["multipliers"]))]
    updown = m["resblock_updown"]
    down, up = (
        [attention if level else [*kinds][updown] for level in levels]
        for attention, kinds in zip(ATTENTION, (DOWN, UP), strict=True)
    )
    resample = "resnet" if updown else "conv"
    style = {ours: theirs for theirs, ours in STYLES.items()}[m["time_embedding"]]
    embedding = {ours: theirs for theirs, ours in EMBEDDINGS.items()}[m["embedding"]]
    return {
        **UNET,
        "sample_size": shape[0] if shape[0] == shape[1] else [*shape[:2]],
        "in_channels": shape[2],
        "out_channels": shape[2] * (2 if fields["diffusion.learned_variance"] else 1),
        "flip_sin_to_cos": style[0],
        "freq_shift": style[1],
        "down_block_types": down,
        "mid_block_type": None if m["middle"] == "none" else "UNetMidBlock2D",
        "up_block_types": up[::-1],
        "block_out_channels": [int(m["channels"] * one) for one in m["multipliers"]],
        "layers_per_block": m["num_blocks"],
        "downsample_padding": 0 if m["downsample_padding"] == "far" else 1,
        "downsample_type": resample,
        "upsample_type": resample,
        "dropout": m["dropout"],
        "attention_head_dim": m["head_channels"] or None,
        "norm_num_groups": m["norm_groups"],
        "attn_norm_num_groups": m["norm_groups"],
        "norm_eps": m["norm_eps"],
        "resnet_time_scale_shift": embedding,
        "add_attention": m["middle"] == "attention",
        "num_class_embeds": rows or None,
    }


def coder_config(fields: Fields, shape: Sequence[int], scale: float) -> Json:
    """The inverse of `coder_fields` for normal fields, as far as there is one.

    scale: of the codes in a pipeline
    """
    m = {k.removeprefix("model."): v for k, v in fields.items() if k[:6] == "model."}
    levels = len(m["multipliers"])
    return {
        **CODER,
        "in_channels": shape[2],
        "out_channels": shape[2],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": [int(m["channels"] * one) for one in m["multipliers"]],
        "layers_per_block": m["num_blocks"],
        "latent_channels": m["latent_channels"],
        "norm_num_groups": m["norm_groups"],
        "sample_size": shape[0],
        "scaling_factor": scale,
        "use_quant_conv": m["latent_conv"],
        "use_post_quant_conv": m["latent_conv"],
        "mid_block_add_attention": m["middle"] == "attention",
    }
