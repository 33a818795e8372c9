"""Runs OpenAI's networks and DDPM's port to PyTorch, and writes what they give.

    pip install torch numpy requests tqdm
    python tests/interop/make_openai_fixture.py GUIDED IMPROVED DDPM

The arguments are checkouts of openai/guided-diffusion, openai/improved-diffusion and
pesser/pytorch_diffusion. Nothing is downloaded or stored: the weights are `weights`, a
rule that the tests follow as well, by name and shape.

openai.npz        of images, the pixels of `some`:
                  NAME: f32, the output of each of NETWORKS for the inputs of `inputs`
                  ddim, ddpm loop: f32, samples of guided-diffusion's loops, by the
                  network GUIDED_BY and the gradient of "classifier"
openai_names.json.gz   {network: {name: shape}} of every published network, and of
                  NETWORKS (made without memory, on torch's device "meta")

Written with torch 2.13.0.
"""

import gzip
import json
import pathlib
import sys
import zlib

import numpy as np

HERE = pathlib.Path(__file__).parent
B, SIDE, CLASSES = 2, 16, 5

# Fields of the constructors, for narrow networks of each structure.
_UNET = {
    "in_channels": 3,
    "out_channels": 6,
    "model_channels": 32,
    "use_scale_shift_norm": True,
}
_ADM = {
    **_UNET,
    "image_size": SIDE,
    "num_classes": CLASSES,
    "num_head_channels": 16,
    "resblock_updown": True,
}
_IDDPM = {**_UNET, "num_heads": 4, "num_res_blocks": 1, "channel_mult": (1, 2)}
_CLASSIFIER = {
    **_ADM,
    "out_channels": CLASSES,
    "num_res_blocks": 1,
    "channel_mult": (1, 2),
    "attention_resolutions": (2,),
    "pool": "attention",
}
_CLASSIFIER.pop("num_classes")
# name: (project, constructor, fields)
NETWORKS = {
    "adm64": ("guided", "UNetModel", {
        **_ADM, "num_res_blocks": 2, "channel_mult": (1, 2, 3),
        "attention_resolutions": (2, 4), "use_new_attention_order": True,
    }),
    "adm256": ("guided", "UNetModel", {
        **_ADM, "num_res_blocks": 1, "channel_mult": (1, 1, 2),
        "attention_resolutions": (4,),
    }),
    "adm512": ("guided", "UNetModel", {
        **_ADM, "model_channels": 64, "num_res_blocks": 1, "channel_mult": (0.5, 1),
        "attention_resolutions": (),
    }),
    "separate": ("guided", "UNetModel", {
        **_ADM, "num_res_blocks": 1, "channel_mult": (1, 2), "resblock_updown": False,
        "attention_resolutions": (1, 2), "num_classes": None, "out_channels": 3,
    }),
    "mean": ("guided", "UNetModel", {
        **_ADM, "num_res_blocks": 1, "channel_mult": (1, 2), "resblock_updown": False,
        "conv_resample": False, "attention_resolutions": (2,), "num_heads": 2,
        "num_head_channels": -1,
    }),
    "upsampler": ("guided", "SuperResModel", {
        **_ADM, "num_res_blocks": 1, "channel_mult": (1, 2), "num_heads": 4,
        "num_head_channels": -1, "attention_resolutions": (2,),
    }),
    "classifier": ("guided", "EncoderUNetModel", _CLASSIFIER),
    "classifier_separate": ("guided", "EncoderUNetModel", {
        **_CLASSIFIER, "resblock_updown": False, "num_res_blocks": 2,
    }),
    "iddpm": ("improved", "UNetModel", {**_IDDPM, "attention_resolutions": (1,)}),
    "iddpm_add": ("improved", "UNetModel", {
        **_IDDPM, "attention_resolutions": (2,), "num_heads": 1,
        "use_scale_shift_norm": False, "num_classes": CLASSES,
    }),
    "iddpm_upsampler": ("improved", "SuperResModel", {
        **_IDDPM, "attention_resolutions": (2,), "out_channels": 3,
    }),
    "ddpm": ("ddpm", "Model", {
        "ch": 32, "out_ch": 3, "ch_mult": (1, 2, 2), "num_res_blocks": 2,
        "attn_resolutions": (8,), "in_channels": 3, "resolution": SIDE,
    }),
}  # fmt: skip
GUIDED_BY, STEPS, SCALE = "adm256", 10, 2.0
LABELS = np.array([3, 0])

# The flags of the published networks, less those that have no effect on names.
_G = {
    "class_cond": True, "num_channels": 256, "num_res_blocks": 2, "learn_sigma": True,
    "attention_resolutions": "32,16,8", "resblock_updown": True,
    "use_scale_shift_norm": True, "num_head_channels": 64,
}  # fmt: skip
_I = {"num_channels": 128, "num_res_blocks": 3, "learn_sigma": True}
_DDPM = {"in_channels": 3, "out_ch": 3, "ch": 128, "num_res_blocks": 2}
PUBLISHED = {
    "guided": {
        "64": {**_G, "image_size": 64, "num_channels": 192, "num_res_blocks": 3},
        "128": {**_G, "image_size": 128, "num_heads": 4, "num_head_channels": -1},
        "256": {**_G, "image_size": 256},
        "256_uncond": {**_G, "image_size": 256, "class_cond": False},
        "512": {**_G, "image_size": 512},
        "64_256_upsampler": {
            **_G, "large_size": 256, "small_size": 64, "num_channels": 192,
            "num_heads": 4, "num_head_channels": -1,
        },
        "128_512_upsampler": {
            **_G, "large_size": 512, "small_size": 128, "num_channels": 192,
            "attention_resolutions": "32,16",
        },
        "64_classifier": {"image_size": 64, "classifier_depth": 4},
        "128_classifier": {"image_size": 128},
        "256_classifier": {"image_size": 256},
        "512_classifier": {"image_size": 512},
    },
    "improved": {
        "cifar10": {**_I, "image_size": 32},
        "imagenet64": {**_I, "image_size": 64},
        "imagenet64_cond": {
            **_I, "image_size": 64, "num_channels": 192, "class_cond": True,
        },
        "upsampler": {
            **_I, "num_channels": 192, "num_res_blocks": 2, "class_cond": True,
            "large_size": 256, "small_size": 64,
        },
        "lsun": {
            **_I, "image_size": 256, "num_res_blocks": 2, "num_heads": 1,
            "use_scale_shift_norm": False, "attention_resolutions": "16",
        },
    },
    "ddpm": {
        "cifar10": {
            **_DDPM, "resolution": 32, "ch_mult": (1, 2, 2, 2),
            "attn_resolutions": (16,),
        },
        "256": {
            **_DDPM, "resolution": 256, "ch_mult": (1, 1, 2, 2, 4, 4),
            "attn_resolutions": (16,),
        },
    },
}  # fmt: skip


def weights(name, shape):
    """Numbers for a tensor, f32[shape]: uniform, never zero, the same everywhere.

    Of variance 1 / (2 inputs) for layers; norms are near the identity.
    """
    u = np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape)
    if name.endswith("weight") and len(shape) == 1:
        u = 1 + u / 2
    elif name.endswith("bias"):
        u = u / 4
    else:
        u = u * np.sqrt(1.5 / np.prod(shape[1:]))
    return np.asarray(u, np.float32)


def inputs(seed=0):
    """x, low_res: f32[b, h, w, c].  t: f32[b].  labels: i32[b].  noise: of the loops"""
    random = np.random.RandomState(seed)
    x = random.normal(size=(B, SIDE, SIDE, 3))
    low = random.uniform(-1, 1, size=(B, SIDE // 2, SIDE // 2, 3))
    noise = random.normal(size=(STEPS, B, SIDE, SIDE, 3))
    t = np.float32([17, 804])
    return *map(np.float32, (x, low)), t, LABELS.astype(np.int32), np.float32(noise)


def fill(network):
    import torch

    made = {
        k: torch.tensor(weights(k, a.shape)) for k, a in network.state_dict().items()
    }
    network.load_state_dict(made)
    return network.eval()


def modules():
    """{project: (module of networks, module of its scripts' constructors)}"""
    for folder in sys.argv[1:4]:
        sys.path.insert(0, folder)
    from guided_diffusion import script_util as guided
    from guided_diffusion import unet as guided_unet
    from improved_diffusion import script_util as improved
    from improved_diffusion import unet as improved_unet
    from pytorch_diffusion import model

    return {
        "guided": (guided_unet, guided),
        "improved": (improved_unet, improved),
        "ddpm": (model, None),
    }


def published(project, flags, scripts, networks):
    """A published network as its scripts make it."""
    if project == "ddpm":
        return networks.Model(**flags)
    if "classifier_depth" in flags or set(flags) == {"image_size"}:
        given = {**scripts.classifier_defaults(), **flags}
        return scripts.create_classifier(**given)
    defaults = scripts.model_and_diffusion_defaults()
    make = scripts.create_model
    if "large_size" in flags:
        defaults = scripts.sr_model_and_diffusion_defaults()
        make = scripts.sr_create_model
    given = {**defaults, **flags}
    takes = make.__code__.co_varnames[: make.__code__.co_argcount]
    return make(**{k: v for k, v in given.items() if k in takes})


def nchw(x):
    import torch

    return torch.tensor(x).permute(0, 3, 1, 2)


def some(images):
    """Every second row and third column, so that the file stays small."""
    return images[:, ::2, ::3]


def nhwc(x):
    return some(x.detach().permute(0, 2, 3, 1).contiguous().numpy())


def output(name, network):
    import torch

    x, low, t, labels, _ = inputs()
    args = [nchw(x), torch.tensor(t)]
    how = {}
    if getattr(network, "num_classes", None):
        how["y"] = torch.tensor(labels).long()
    if "upsampler" in name:
        how["low_res"] = nchw(low)
    with torch.no_grad():
        out = network(*args, **how)
    return out.numpy() if "classifier" in name else nhwc(out)


def loops(network, classifier):
    """The samples of guided-diffusion's loops, with its script's gradient.

    The first step divides the network's rounding by alpha: 0.006 here, but 5e-5 with
    the cosine table, where two programs differ visibly.
    """
    import torch
    from guided_diffusion import gaussian_diffusion as loop
    from guided_diffusion import respace

    def diffusion(sections):
        return respace.SpacedDiffusion(
            use_timesteps=respace.space_timesteps(1000, sections),
            betas=loop.get_named_beta_schedule("linear", 1000),
            model_mean_type=loop.ModelMeanType.EPSILON,
            model_var_type=loop.ModelVarType.LEARNED_RANGE,
            loss_type=loop.LossType.MSE,
        )

    x, _, _, labels, noise = inputs()
    labels = torch.tensor(labels).long()

    def gradient(x, t, y=None):
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            log = torch.log_softmax(classifier(x, t), dim=-1)
            picked = log[range(len(log)), y]
            return torch.autograd.grad(picked.sum(), x)[0] * SCALE

    how = {
        "shape": (B, 3, SIDE, SIDE),
        "noise": nchw(x),
        "cond_fn": gradient,
        "model_kwargs": {"y": labels},
        "device": "cpu",
    }
    draws = iter(noise)
    loop.th.randn_like = lambda x: nchw(next(draws))
    ancestral = diffusion(str(STEPS)).p_sample_loop(network, **how)
    draws = iter(noise)
    ddim = diffusion(f"ddim{STEPS}").ddim_sample_loop(network, **how)
    return {"ddpm loop": nhwc(ancestral), "ddim loop": nhwc(ddim)}


def main():
    import torch

    torch.set_num_threads(2)
    projects = modules()
    names, arrays, made = {}, {}, {}
    for name, (project, kind, fields) in NETWORKS.items():
        made[name] = fill(getattr(projects[project][0], kind)(**fields))
        arrays[name] = output(name, made[name])
        state = made[name].state_dict()
        names[f"narrow/{name}"] = {k: [*a.shape] for k, a in state.items()}
    arrays |= loops(made[GUIDED_BY], made["classifier"])
    for project, table in PUBLISHED.items():
        networks, scripts = projects[project]
        for name, flags in table.items():
            with torch.device("meta"):
                state = published(project, flags, scripts, networks).state_dict()
            names[f"{project}/{name}"] = {k: [*a.shape] for k, a in state.items()}
    np.savez_compressed(HERE / "openai.npz", **arrays)
    text = json.dumps(names, separators=(",", ":")).encode()
    (HERE / "openai_names.json.gz").write_bytes(gzip.compress(text, 9, mtime=0))


if __name__ == "__main__":
    main()
