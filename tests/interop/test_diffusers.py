"""diffusers' networks and pipelines against outputs of diffusers itself.

diffusers.npz is written by make_diffusers_fixture.py, which lists its contents.
"""

import json
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import models, schema
from jaxdiff.choices import from_block
from jaxdiff.interop import mapping
from jaxdiff.interop.diffusers_json import (
    coder_config,
    coder_fields,
    normal,
    unet_config,
    unet_fields,
)
from jaxdiff.interop.diffusers_names import renamed, table
from tests.interop import seeded
from tests.slow import slow_but

PEER = dict(np.load(Path(__file__).with_name("diffusers.npz")))
CONFIGS = {k[:-7]: json.loads(str(v)) for k, v in PEER.items() if k[-7:] == "/config"}
PUBLISHED = sorted(k[:-6] for k in PEER if k[-6:] == "/names")
CODERS = [
    name for name in CONFIGS if name.startswith("coder") and name not in PUBLISHED
]
UNETS = [name for name in CONFIGS if name not in (*CODERS, *PUBLISHED)]


def fields_of(config):
    """All fields of a run with the network of a config.json, and what else it holds."""
    read = coder_fields if config["_class_name"] == "AutoencoderKL" else unet_fields
    fields, shape, rest = read(config)
    return schema.flat(schema.get_config()) | fields, shape, rest


def network(config):
    """Ours for a config.json, and the shapes of its parameters."""
    fields, shape, rows = fields_of(config)
    model = {k[6:]: v for k, v in fields.items() if k[:6] == "model."}
    x = jnp.zeros((1, *shape))
    if model["name"] == "autoencoder":
        more, args = {"variational": True}, (x,)
    else:
        learned = fields["diffusion.learned_variance"]
        more = {"num_classes": rows, "learned_variance": learned}
        args = (x, jnp.zeros(1), jnp.zeros(1, jnp.int32))
    net = from_block(models, model, shape=shape, **more)
    return net, jax.eval_shape(net.init, jax.random.key(0), *args)["params"]


def zeros(like):
    return jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), like)


def seeded_network(name):
    """Ours with the weights of the fixture, and these as they are stored there."""
    net, like = network(CONFIGS[name])
    named = mapping.write(table(like), zeros(like))
    stored = {k: seeded.tensor(k, a.shape) for k, a in named.items()}
    return net, mapping.read(table(like), stored, like), stored


def assert_close(ours, theirs):
    """At most 1e-5 of the deviation of what diffusers computes."""
    error = np.abs(np.asarray(ours) - theirs).max() / theirs.std()
    assert error <= 1e-5, error


@pytest.mark.parametrize("name", slow_but(["classes", "resample_in_blocks"], UNETS))
def test_unet(name):
    net, params, stored = seeded_network(name)
    t, cond = np.float32([3, 977]), np.array([4, 1])
    out = jax.jit(net.apply)({"params": params}, PEER[f"{name}/x"], t, cond)
    assert_close(out, PEER[f"{name}/out"])
    chex.assert_trees_all_equal(mapping.write(table(params), params), stored)


@pytest.mark.parametrize("name", slow_but(["coder"], CODERS))
def test_autoencoder(name):
    net, params, stored = seeded_network(name)

    @jax.jit
    def run(x, z):
        moments = net.apply({"params": params}, x, method=net.encode)
        decoded = net.apply({"params": params}, z, method=net.decode)
        return jnp.concatenate(moments, -1), decoded

    moments, decoded = run(PEER[f"{name}/x"], PEER[f"{name}/z"])
    assert_close(moments, PEER[f"{name}/out"])
    assert_close(decoded, PEER[f"{name}/decoded"])
    chex.assert_trees_all_equal(mapping.write(table(params), params), stored)


@pytest.mark.parametrize("name", slow_but(["sd_vae_ft_mse"], PUBLISHED))
def test_every_name_of_the_published_networks_maps(name):
    named = json.loads(str(PEER[f"{name}/names"]))
    shapes = {k: tuple(shape) for k, shape in named.items()}
    _, like = network(CONFIGS[name])
    mapping.check(table(like), shapes, like)


def test_older_names_of_attention_are_those_of_today():
    today = {"a.to_q.weight": 1, "a.to_k.bias": 2, "a.to_v.bias": 3, "a.to_out.0.b": 4}
    older = {
        "a.query.weight": 1,
        "a.key.bias": 2,
        "a.value.bias": 3,
        "a.proj_attn.b": 4,
    }
    assert renamed(older) == renamed(today) == today


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_written_as_it_was_read(name):
    fields, shape, rest = fields_of(CONFIGS[name])
    write = coder_config if name in (*CODERS, "sd_vae_ft_mse") else unet_config
    written = write(normal(fields), shape, rest)
    config = {k: v for k, v in CONFIGS[name].items() if k[:1] != "_"}
    # the same by other keys: without attention there are no heads and groups of it, and
    # the number of groups in the middle may be left to diffusers
    free = {"attn_norm_num_groups"}
    free |= set() if fields["model.attention"] else {"attention_head_dim"}
    free |= {"downsample_padding"} if fields["model.resblock_updown"] else set()
    differing = {
        k for k, v in config.items() if json.loads(json.dumps(written[k])) != v
    }
    assert differing <= free
    read = coder_fields if write is coder_config else unet_fields
    assert read(written) == read(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("time_embedding_type", "fourier"),
        ("down_block_types", ["SkipDownBlock2D", "AttnDownBlock2D"]),
        ("up_block_types", ["UpBlock2D", "UpBlock2D"]),
        ("mid_block_scale_factor", 1.4142),
        ("class_embed_type", "timestep"),
        ("freq_shift", 1),
        ("act_fn", "gelu"),
        ("sample_size", None),
        ("block_out_channels", [8, 12]),
        ("upsample_type", "resnet"),
        ("attn_norm_num_groups", 2),
        ("out_channels", 9),
        ("a_key_of_tomorrow", 1),
    ],
)
def test_what_the_unet_lacks_is_listed(key, value):
    config = CONFIGS["heads"] | {"center_input_sample": True, key: value}
    with pytest.raises(ValueError, match="no counterpart of") as error:
        unet_fields(config)
    assert f"{key}={value!r}" in str(error.value)
    assert "center_input_sample=True" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("down_block_types", ["AttnDownEncoderBlock2D", "DownEncoderBlock2D"]),
        ("use_quant_conv", True),
        ("shift_factor", 0.1),
        ("latents_mean", [0.0]),
    ],
)
def test_what_the_autoencoder_lacks_is_listed(key, value):
    with pytest.raises(ValueError, match="no counterpart of") as error:
        coder_fields(CONFIGS["coder_plain"] | {key: value})
    assert f"{key}={value!r}" in str(error.value)
