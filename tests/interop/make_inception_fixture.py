"""Runs torch-fidelity's Inception and writes inception.npz beside this file.

    pip install torch numpy scipy pillow tqdm;  pip install --no-deps torch-fidelity
    python tests/interop/make_inception_fixture.py

torch-fidelity's Inception has the names and the weights of pytorch-fid's, but needs no
torchvision; other parts of the package do, so that its own start is left out. It
resizes images as TensorFlow 1 did; here that one function is torch's F.interpolate, as
in pytorch-fid. The weights are not the published ones but `weights`, a rule that the
test follows as well, by name and shape; so nothing is downloaded or stored.

    names, shapes   of the state dict, shapes as text
    images          u8[2, 32, 32, 3]; a third image is `large_image`
    features        f32[3, 2048] and logits f32[3, 1008], without bias, of the three
    resized_up, resized_down, resized_both
                    f32[10, 10, 3]: every 33rd pixel of 32x32, 400x320 and 200x400
                    made 299x299, in [0, 1]

Written with torch-fidelity 0.4.0 and torch 2.13.0, in float64 rounded to float32.
"""

import importlib.util
import pathlib
import sys
import types
import zlib

import numpy as np


def weights(name, shape):
    """Numbers for a tensor of the state dict, f32[shape], the same on every machine.

    Uniform: convolutions of variance 2 / inputs, norms near the identity, variances
    above 0. RandomState's stream, unlike a Generator's, is frozen for all of numpy.
    """
    u = np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape)
    part = name.rpartition(".")[2]
    if part == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if part == "running_var" or (part == "weight" and len(shape) == 1):
        u = 1 + u / 2
    elif part in ("running_mean", "bias"):
        u = u / 4
    else:
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    return np.asarray(u, np.float32)


def image(height, width, seed):
    """u8[height, width, 3]: noise upon waves, so that no two images are alike."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(a * x + b * y + c) for a, b, c in random.uniform(-0.5, 0.5, (3, 3))]
    noise = random.uniform(-1, 1, (height, width, 3))
    return np.uint8(127.5 + 90 * np.stack(waves, axis=-1) + 37 * noise)


def large_image():
    return image(400, 320, 2)


def load_torch_fidelity():
    """The module of the extractor, without the package's own start."""
    folder = pathlib.Path(importlib.util.find_spec("torch_fidelity").origin).parent
    package = types.ModuleType("torch_fidelity")
    package.__path__ = [str(folder)]
    sys.modules["torch_fidelity"] = package
    return importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")


def main():
    import torch

    module = load_torch_fidelity()
    resize = torch.nn.functional.interpolate

    def shown(x, size, align_corners):
        # the extractor continues with (y - 128) / 128
        return 256 * resize(x / 255, size, mode="bilinear", align_corners=align_corners)

    def fill(network, _):
        state = {
            name: torch.tensor(weights(name, tuple(a.shape)))
            for name, a in network.state_dict().items()
        }
        torch.nn.Module.load_state_dict(network, state)

    module.interpolate_bilinear_2d_like_tensorflow1x = shown
    module.load_state_dict_from_url = lambda *_, **__: None
    module.FeatureExtractorInceptionV3.load_state_dict = fill
    network = module.FeatureExtractorInceptionV3(
        "inception",
        ["2048", "logits_unbiased"],
        feature_extractor_internal_dtype="float64",
    )
    images = np.stack([image(32, 32, seed) for seed in (0, 1)])
    features, logits = zip(
        *(
            [a.numpy() for a in network(torch.tensor(x.transpose(0, 3, 1, 2)))]
            for x in (images, large_image()[None])
        ),
        strict=True,
    )
    arrays = {
        "names": np.array([*network.state_dict()]),
        "shapes": np.array(
            [" ".join(map(str, a.shape)) for a in network.state_dict().values()]
        ),
        "images": images,
        "features": np.concatenate(features),
        "logits": np.concatenate(logits),
    }
    for name, x in {
        "up": images[0],
        "down": large_image(),
        "both": image(200, 400, 3),
    }.items():
        x = torch.tensor(x.transpose(2, 0, 1)[None].astype(np.float32)) / 255
        y = resize(x, (299, 299), mode="bilinear", align_corners=False)[0]
        arrays[f"resized_{name}"] = y.numpy().transpose(1, 2, 0)[::33, ::33]
    np.savez_compressed(pathlib.Path(__file__).parent / "inception.npz", **arrays)


if __name__ == "__main__":
    main()
