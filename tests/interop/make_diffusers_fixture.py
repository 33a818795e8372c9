"""Make diffusers.npz: outputs of diffusers' networks, whose weights are `seeded`.

python tests/interop/make_diffusers_fixture.py      needs torch and diffusers

Each network has its config.json as diffusers writes it, an input and an output. Of the
published ones, made without memory, the names and shapes of all tensors. "ddim" is what
DDIMPipeline makes of a noise: its scheduler, noise and image.
"""

import json
from pathlib import Path

import numpy as np
import seeded
import torch
from diffusers import AutoencoderKL, DDIMPipeline, DDIMScheduler, UNet2DModel

DDPM = {
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
    "downsample_padding": 0,
    "attention_head_dim": None,
}
NARROW = {"norm_num_groups": 4, "block_out_channels": (8, 16)}
BLOCKS = {
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
SIX_DOWN = ("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D")
SIX_UP = ("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4
FOUR_DOWN = ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D")
FOUR_UP = ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
UNETS = {
    "cifar": {
        **DDPM,
        "sample_size": 16,
        "norm_num_groups": 4,
        "block_out_channels": (8, 16, 16, 16),
        "down_block_types": FOUR_DOWN,
        "up_block_types": FOUR_UP,
    },
    "six_levels": {
        **DDPM,
        "sample_size": 32,
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "block_out_channels": (8, 8, 16, 16, 24, 24),
        "down_block_types": SIX_DOWN,
        "up_block_types": SIX_UP,
    },
    "heads": {
        **NARROW,
        "sample_size": 8,
        "layers_per_block": 1,
        "attention_head_dim": 4,
        "down_block_types": ("AttnDownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D"),
    },
    "no_middle_attention": {
        **NARROW,
        "sample_size": (8, 16),
        "in_channels": 1,
        "out_channels": 2,
        "layers_per_block": 1,
        "add_attention": False,
        "attention_head_dim": 8,
        **BLOCKS,
    },
    "classes": {
        **NARROW,
        "sample_size": 8,
        "layers_per_block": 1,
        "attention_head_dim": 8,
        "resnet_time_scale_shift": "scale_shift",
        "attn_norm_num_groups": 4,
        "num_class_embeds": 5,
        **BLOCKS,
    },
    "resample_in_blocks": {
        **NARROW,
        "sample_size": 8,
        "layers_per_block": 1,
        "attention_head_dim": 8,
        "block_out_channels": (8, 16, 16),
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "down_block_types": (
            "ResnetDownsampleBlock2D",
            "AttnDownBlock2D",
            "ResnetDownsampleBlock2D",
        ),
        "up_block_types": (
            "ResnetUpsampleBlock2D",
            "AttnUpBlock2D",
            "ResnetUpsampleBlock2D",
        ),
    },
}
CODERS = {
    "coder": {
        "sample_size": 8,
        "norm_num_groups": 4,
        "block_out_channels": (8, 16),
        "latent_channels": 3,
    },
    "coder_plain": {
        "sample_size": 16,
        "layers_per_block": 2,
        "in_channels": 1,
        "out_channels": 1,
        "norm_num_groups": 4,
        "block_out_channels": (8, 16, 16),
        "mid_block_add_attention": False,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
}
for CODER in CODERS.values():
    LEVELS = len(CODER["block_out_channels"])
    CODER["down_block_types"] = ("DownEncoderBlock2D",) * LEVELS
    CODER["up_block_types"] = ("UpDecoderBlock2D",) * LEVELS
# The shapes of google/ddpm-cifar10-32, google/ddpm-celebahq-256, the U-Net of
# CompVis/ldm-celebahq-256, and stabilityai/sd-vae-ft-mse.
PUBLISHED = {
    "ddpm_cifar10_32": (
        UNet2DModel,
        {
            **UNETS["cifar"],
            "sample_size": 32,
            "norm_num_groups": 32,
            "block_out_channels": (128, 256, 256, 256),
        },
    ),
    "ddpm_celebahq_256": (
        UNet2DModel,
        {
            **UNETS["six_levels"],
            "sample_size": 256,
            "norm_num_groups": 32,
            "layers_per_block": 2,
            "block_out_channels": (128, 128, 256, 256, 512, 512),
        },
    ),
    "ldm_celebahq_256": (
        UNet2DModel,
        {"sample_size": 64, "attention_head_dim": 32},
    ),
    "sd_vae_ft_mse": (
        AutoencoderKL,
        {
            "sample_size": 256,
            "block_out_channels": (128, 256, 512, 512),
            "layers_per_block": 2,
            "down_block_types": ("DownEncoderBlock2D",) * 4,
            "up_block_types": ("UpDecoderBlock2D",) * 4,
        },
    ),
}


def text(model: torch.nn.Module) -> str:
    return json.dumps({**model.config, "_class_name": type(model).__name__})


def build(kind: type, config: dict) -> torch.nn.Module:
    model = kind(**config).eval()
    state = {
        name: torch.from_numpy(seeded.tensor(name, tuple(a.shape)))
        for name, a in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model


def nhwc(a: torch.Tensor) -> np.ndarray:
    return a.numpy().transpose(0, 2, 3, 1)


@torch.no_grad()
def main() -> None:
    arrays, torch_rng = {}, torch.Generator().manual_seed(0)
    for name, config in UNETS.items():
        model = build(UNet2DModel, config)
        size = config["sample_size"]
        size = (size, size) if isinstance(size, int) else size
        x = torch.randn(2, config.get("in_channels", 3), *size, generator=torch_rng)
        t, labels = torch.tensor([3, 977]), torch.tensor([4, 1])
        cond = (labels,) if config.get("num_class_embeds") else ()
        out = model(x, t, *cond).sample
        arrays |= {f"{name}/config": text(model), f"{name}/x": nhwc(x)}
        arrays |= {f"{name}/out": nhwc(out)}
    for name, config in CODERS.items():
        model = build(AutoencoderKL, config)
        channels, size = config.get("in_channels", 3), config["sample_size"]
        x = torch.randn(2, channels, size, size, generator=torch_rng)
        moments = model.encode(x).latent_dist.parameters
        z = torch.randn(moments.chunk(2, 1)[0].shape, generator=torch_rng)
        arrays |= {f"{name}/config": text(model), f"{name}/x": nhwc(x)}
        arrays |= {f"{name}/out": nhwc(moments), f"{name}/z": nhwc(z)}
        arrays |= {f"{name}/decoded": nhwc(model.decode(z).sample)}
    for name, (kind, config) in PUBLISHED.items():
        with torch.device("meta"):
            model = kind(**config)
        shapes = {k: list(a.shape) for k, a in model.state_dict().items()}
        arrays |= {f"{name}/config": text(model), f"{name}/names": json.dumps(shapes)}
    arrays |= pipeline()
    path = Path(__file__).with_name("diffusers.npz")
    np.savez_compressed(path, **arrays)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB, torch {torch.__version__}")


def pipeline() -> dict[str, np.ndarray]:
    """Ten steps of DDIMPipeline with eta 0, for the network "heads"."""
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2")
    pipe = DDIMPipeline(build(UNet2DModel, UNETS["heads"]), scheduler)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    images = pipe(
        batch_size=2,
        generator=torch.Generator().manual_seed(1),
        num_inference_steps=10,
        use_clipped_model_output=True,
        output_type="np",
    ).images
    about = json.dumps({**scheduler.config, "_class_name": "DDIMScheduler"})
    return {"ddim/scheduler": about, "ddim/noise": nhwc(noise), "ddim/images": images}


if __name__ == "__main__":
    main()
