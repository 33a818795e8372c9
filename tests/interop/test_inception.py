"""Inception against torch-fidelity's, by weights that both sides make up alike.

inception.npz is written by make_inception_fixture.py, which lists its contents.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxdiff.interop import inception
from jaxdiff.models.inception import show
from tests.interop.make_inception_fixture import image, large_image, weights

FIXTURE = dict(np.load(pathlib.Path(__file__).parent / "inception.npz"))
SHAPES = {
    name: tuple(map(int, shape.split()))
    for name, shape in zip(
        FIXTURE["names"].tolist(), FIXTURE["shapes"].tolist(), strict=True
    )
}
# Of these the module makes no use, whatever they are.
UNUSED = {"fc.bias"} | {name for name in SHAPES if name.endswith("_tracked")}
# One number each, under the names that the module needs.
SCALARS = {name: np.zeros(1, np.float32) for name in SHAPES if name not in UNUSED}


def seen(*images):
    """u8 images of any sizes -> f32[n, 299, 299, 3] in [-1, 1]"""
    return jnp.concatenate(
        [show(jnp.asarray(x[None] / np.float32(255))) for x in images]
    )


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    tensors = {name: weights(name, shape) for name, shape in SHAPES.items()}
    save_file(tensors | {"AuxLogits.fc.bias": np.zeros(1000, np.float32)}, path)
    result = inception.load(path)
    path.unlink()  # 95 MB
    return result


def test_features_and_logits_are_torchs(loaded):
    network, variables = loaded

    @jax.jit
    def run(variables, x):
        t = jnp.zeros(())
        features = network.apply(variables, x, t, features=True)
        return features, network.apply(variables, x, t)

    # 299x299 stays as it is
    x = (seen(*FIXTURE["images"], large_image()) + 1) / 2
    for got, name in zip(run(variables, x), ("features", "logits"), strict=True):
        expected = FIXTURE[name]
        assert got.shape == expected.shape and got.dtype == jnp.float32
        # no two images are alike, so that a number is some image's
        assert expected.std(0).mean() > 0.1 * expected.std()
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("up", FIXTURE["images"][0]),
        ("down", large_image()),
        ("both", image(200, 400, 3)),
    ],
)
def test_sizes_change_as_in_torch(name, pixels):
    shown = (seen(pixels)[0, ::33, ::33] + 1) / 2
    np.testing.assert_allclose(shown, FIXTURE[f"resized_{name}"], atol=1e-6)


def test_grey_images_are_seen_as_three_equal_channels():
    grey = FIXTURE["images"][0][..., :1]
    np.testing.assert_array_equal(seen(grey), seen(np.repeat(grey, 3, axis=-1)))
    same = image(299, 299, 4)
    np.testing.assert_allclose(seen(same)[0], same / 127.5 - 1, atol=1e-6)
    with pytest.raises(ValueError, match="1 or 3 channels, got 4"):
        show(jnp.zeros((1, 8, 8, 4)))


def test_every_name_has_its_number(loaded):
    """By name and shape, both ways; each number is the rule's, its axes turned."""
    leaves = dict(jax.tree.flatten_with_path(loaded[1])[0])
    assert len(leaves) == len(SCALARS) == len(SHAPES) - len(UNUSED)
    result = {".".join(k.key for k in keys): a for keys, a in leaves.items()}
    name = "Mixed_6b.branch7x7_2.{}.{}"
    for ours, theirs, axes in (
        (f"params.{name.format('conv', 'kernel')}", "conv.weight", (2, 3, 1, 0)),
        (f"params.{name.format('bn', 'scale')}", "bn.weight", (0,)),
        (f"params.{name.format('bn', 'bias')}", "bn.bias", (0,)),
        (f"batch_stats.{name.format('bn', 'mean')}", "bn.running_mean", (0,)),
        (f"batch_stats.{name.format('bn', 'var')}", "bn.running_var", (0,)),
    ):
        full = f"Mixed_6b.branch7x7_2.{theirs}"
        expected = weights(full, SHAPES[full]).transpose(axes)
        np.testing.assert_array_equal(result[ours], expected)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (
            {k: v for k, v in SCALARS.items() if ".bn." not in k},
            # 94 convolutions, each with a norm of four
            r"it lacks Conv2d_1a_3x3\.bn\.\w+, .* and 373 more; to convert",
        ),
        ({**SCALARS, "Mixed_8a.weight": np.zeros(1)}, "the unknown Mixed_8a.weight;"),
        (SCALARS, r"Conv2d_1a_3x3\.bn\.\w+ must be of shape \(32,\), got \(1,\)"),
        (
            {
                k: np.zeros(SHAPES[k] if len(SHAPES[k]) < 2 else 1, np.float32)
                for k in SCALARS
            },
            r"conv\.weight must be of shape \(32, 3, 3, 3\), got \(1,\)",
        ),
    ],
)
def test_other_weights_are_refused(tmp_path, tensors, words):
    path = tmp_path / "inception.safetensors"
    save_file(tensors, path)
    with pytest.raises(ValueError, match=words) as error:
        inception.load(path)
    assert "\n" not in str(error.value) and inception.CONVERT in str(error.value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "inception.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no file .* of weights; to convert"):
        inception.load(path)
    header = b'{"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}'
    eight_bits = len(header).to_bytes(8, "little") + header + b"ab"
    for data in (eight_bits[:-1], eight_bits[:20], b""):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"inception\.safetensors is not a safe"):
            inception.load(path)
    path.write_bytes(eight_bits)
    with pytest.raises(ValueError, match=r"safetensors: a holds numbers of type F8"):
        inception.load(path)
    path.write_bytes(b"PK\x03\x04 a pickle in an archive, as torch.save writes")
    with pytest.raises(ValueError, match=r"is a pickle.*; to convert pt_inception"):
        inception.load(path)
    with path.open("wb") as file:
        np.savez(file, a=np.ones(2))
    with pytest.raises(ValueError, match=r"is an archive without weights"):
        inception.load(path)


def test_the_package_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ValueError, match=r"pip install 'jaxdiff\[inception\]'"):
        inception.load(tmp_path / "inception.safetensors")
