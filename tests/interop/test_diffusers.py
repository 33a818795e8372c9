"""diffusers' U-Net, autoencoder and pipelines against outputs of diffusers itself."""

import json
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.interop import mapping
from jaxdiff.interop.diffusers_json import coder_fields, unet_fields
from jaxdiff.interop.diffusers_names import table
from jaxdiff.models import autoencoder, unet
from tests.interop import seeded

UNETS = (
    *("cifar", "six_levels", "heads"),
    *("no_middle_attention", "classes", "resample_in_blocks"),
)
CODERS = ("coder", "coder_plain")
PUBLISHED = (
    *("ddpm_cifar10_32", "ddpm_celebahq_256"),
    *("ldm_celebahq_256", "sd_vae_ft_mse"),
)


@pytest.fixture(scope="module")
def peer():
    with np.load(Path(__file__).with_name("diffusers.npz")) as file:
        return dict(file)


def config_of(peer, name):
    return json.loads(str(peer[f"{name}/config"]))


def network(config):
    """Ours for a config.json, and the shapes of its parameters."""
    if config["_class_name"] == "AutoencoderKL":
        fields, shape, _ = coder_fields(config)
        more = {"variational": True}
        home = autoencoder
    else:
        fields, shape, rows = unet_fields(config)
        more = {"learned_variance": fields["diffusion.learned_variance"]}
        more["num_classes"] = rows
        home = unet
    model = {k[6:]: v for k, v in fields.items() if k[:6] == "model."}
    del model["name"]
    net = home.make(shape=shape, **model, **more)
    x, t = jnp.zeros((1, *shape)), jnp.zeros(1)
    args = (x,) if home is autoencoder else (x, t, jnp.zeros(1, jnp.int32))
    return net, jax.eval_shape(net.init, jax.random.key(0), *args)["params"]


def seeded_tensors(like):
    """{name there: array}, of the weights that the fixture was made with."""
    zeros = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), like)
    named = mapping.write(table(like), zeros)
    return {name: seeded.tensor(name, a.shape) for name, a in named.items()}


def seeded_network(config):
    net, like = network(config)
    stored = seeded_tensors(like)
    return net, mapping.read(table(like), stored, like), stored


def assert_close(ours, theirs):
    """At most 1e-5 of the deviation of what diffusers computes."""
    error = np.abs(np.asarray(ours) - theirs).max() / theirs.std()
    assert error <= 1e-5, error


@pytest.mark.parametrize("name", UNETS)
def test_unet(peer, name):
    net, params, stored = seeded_network(config_of(peer, name))
    x, t, cond = peer[f"{name}/x"], np.float32([3, 977]), np.array([4, 1])
    out = jax.jit(net.apply)({"params": params}, x, t, cond)
    assert_close(out, peer[f"{name}/out"])
    chex.assert_trees_all_equal(mapping.write(table(params), params), stored)


@pytest.mark.parametrize("name", CODERS)
def test_autoencoder(peer, name):
    net, params, stored = seeded_network(config_of(peer, name))
    moments = net.apply({"params": params}, peer[f"{name}/x"], method=net.encode)
    assert_close(jnp.concatenate(moments, -1), peer[f"{name}/out"])
    x = net.apply({"params": params}, peer[f"{name}/z"], method=net.decode)
    assert_close(x, peer[f"{name}/decoded"])
    chex.assert_trees_all_equal(mapping.write(table(params), params), stored)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_name_of_the_published_networks_maps(peer, name):
    shapes = json.loads(str(peer[f"{name}/names"]))
    _, like = network(config_of(peer, name))
    mapping.check(table(like), shapes, like)
