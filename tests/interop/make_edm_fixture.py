"""Runs EDM's networks and its sampler, and writes edm.npz beside this file.

    git clone https://github.com/NVlabs/edm;  pip install torch numpy click tqdm pillow
    python tests/interop/make_edm_fixture.py edm

The networks are narrow, and their weights are not published ones but `weights`, a rule
that the test follows as well, by name and shape. Nothing is downloaded or stored but

    <full>      the state dict of a published network in full size, "name 3x3x128" a
                line, of its constructor on torch's meta device
    <name>/names
                the same of a narrow one, as tensors there
    <name>/out  the output of the network itself, f32[2, h, w, c]
    <name>/<precond>
                D(x, sigma, label), f32[4, h, w, c], at SIGMAS, of PAIRS
    sampled, churned
                x0 of edm_sampler in 18 steps from `noise(0)`, f32[2, h, w, c], with
                the noise of step i, if any, noise(i + 1)

Images are (h, w, c) here, and (c, h, w) there. Written with torch 2.13.0 on a CPU.
"""

import pathlib
import sys
import zlib

import numpy as np

SIDE, STEPS = 16, 18
SIGMAS = (0.02, 0.3, 3.0, 40.0)
PRECONDS = ("EDMPrecond", "VPPrecond", "VEPrecond")
CHURN = {"S_churn": 4, "S_min": 0.05, "S_max": 50, "S_noise": 1.003}
# As train.py writes them, where that is not the constructor's default.
SONG = {"model_type": "SongUNet", "channel_mult": [2, 2, 2]}
FAMILIES = {
    "ddpmpp": SONG,
    "ncsnpp": {
        **SONG,
        "embedding_type": "fourier",
        "channel_mult_noise": 2,
        "encoder_type": "residual",
        "resample_filter": [1, 3, 3, 1],
    },
    "adm": {"model_type": "DhariwalUNet"},
}
SMALL = {"model_channels": 8, "num_blocks": 1, "attn_resolutions": [8]}
NARROW = {
    "ddpmpp": {**SMALL, "channel_mult": [2, 1, 2], "label_dim": 3, "augment_dim": 9},
    "ncsnpp": {**SMALL, "channel_mult": [2, 1, 2]},
    # two heads of 64 channels
    "adm": {**SMALL, "model_channels": 32, "channel_mult": [1, 4], "label_dim": 3},
}
# VP gives the network times up to 999, which ncsnpp multiplies by frequencies: there
# float32 rounds to phases of 10^-2, on either side.
PAIRS = [
    (name, precond)
    for name in NARROW
    for precond in PRECONDS
    if (name, precond) != ("ncsnpp", "VPPrecond")
]
# Family, side, and the fields of its config.
FULL = {
    "cifar10_cond_ddpmpp": ("ddpmpp", 32, {"label_dim": 10, "augment_dim": 9}),
    "cifar10_uncond_ncsnpp": ("ncsnpp", 32, {"augment_dim": 9}),
    "ffhq_ddpmpp": ("ddpmpp", 64, {"channel_mult": [1, 2, 2, 2], "augment_dim": 9}),
    "afhqv2_ncsnpp": ("ncsnpp", 64, {"channel_mult": [1, 2, 2, 2], "augment_dim": 9}),
    "imagenet_cond_adm": ("adm", 64, {"label_dim": 1000}),
}


def weights(name, shape):
    """Numbers for a tensor of the state dict, f32[shape], the same on every machine.

    Uniform: layers of variance 2 / (3 inputs), norms near the identity. RandomState's
    stream, unlike a Generator's, is frozen for all of numpy.
    """
    u = np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape)
    part = name.rpartition(".")[2]
    if part == "freqs":
        u = 16 * u
    elif part == "weight" and len(shape) == 1:
        u = 1 + u / 2
    elif part == "bias":
        u = u / 4
    else:
        u = u * np.sqrt(2 / np.prod(shape[1:]))
    return np.asarray(u, np.float32)


def noise(seed, examples=2):
    """N(0, 1) numbers, f64[examples, SIDE, SIDE, 3]."""
    return np.random.RandomState(seed).standard_normal((examples, SIDE, SIDE, 3))


def inputs():
    """x f32[4, SIDE, SIDE, 3] at SIGMAS, and labels i32[4]."""
    sigmas = np.float32(SIGMAS)[:, None, None, None]
    x = 0.5 * noise(100, 4) + sigmas * noise(101, 4)
    return np.float32(x), np.int32([0, 1, 2, 1])


def there(x):
    import torch

    return torch.as_tensor(x).permute(0, 3, 1, 2)


def here(x):
    return np.float32(x.permute(0, 2, 3, 1).numpy())


def build(family, side, fields, precond="EDMPrecond"):
    from training import networks

    kwargs = {**FAMILIES[family], **fields}
    make = getattr(networks, precond)
    return make(img_resolution=side, img_channels=3, **kwargs).eval()


def names(net):
    """The names and shapes of its state dict."""
    tensors = net.state_dict().items()
    return "\n".join(f"{n} {'x'.join(map(str, t.shape))}" for n, t in tensors)


def outputs(name, precond):
    """What is stored of a narrow network."""
    import torch

    net = build(name, SIDE, NARROW[name], precond)
    for key, tensor in net.state_dict().items():
        if not key.endswith("resample_filter"):
            tensor.copy_(torch.as_tensor(weights(key, tensor.shape)))
    x, labels = inputs()
    x, one_hot = there(x), torch.eye(3)[torch.as_tensor(labels).long()]
    arrays = {f"{name}/{precond}": here(net(x, torch.tensor(SIGMAS), one_hot))}
    if precond == "EDMPrecond":
        out = net.model(x[:2], torch.tensor(SIGMAS).log()[:2], one_hot[:2])
        arrays |= {f"{name}/names": np.array(names(net)), f"{name}/out": here(out)}
        if name == "ddpmpp":
            arrays |= sampled(net, one_hot[:2])
    return arrays


def sampled(net, one_hot):
    from generate import edm_sampler

    arrays = {}
    for name, churn in (("sampled", {}), ("churned", CHURN)):
        drawn = iter([noise(i + 1) for i in range(STEPS)])
        out = edm_sampler(
            *(net, there(noise(0)), one_hot),
            randn_like=lambda _, drawn=drawn: there(next(drawn)),
            **{"num_steps": STEPS, **churn},
        )
        arrays[name] = here(out)
    return arrays


def main():
    import torch

    sys.path.insert(0, sys.argv[1])
    arrays = {}
    for name, full in FULL.items():
        with torch.device("meta"):
            arrays[name] = np.array(names(build(*full)))
    with torch.no_grad():
        for pair in PAIRS:
            arrays |= outputs(*pair)
    np.savez_compressed(pathlib.Path(__file__).parent / "edm.npz", **arrays)


if __name__ == "__main__":
    main()
