"""OpenAI's networks and DDPM's, by weights that both sides make up alike.

make_openai_fixture.py writes what the projects' code gives, and the names and shapes of
the published networks.
"""

import gzip
import json
import pathlib

import chex
import jax
import numpy as np
import pytest

from jaxdiff import interop, models, schema
from jaxdiff.choices import from_block, pick
from jaxdiff.diffusion.noises import normal
from jaxdiff.diffusion.schedules.angles import cosine
from jaxdiff.diffusion.upsampling import beside
from jaxdiff.interop import mapping, tensors
from tests.interop import make_openai_fixture as theirs
from tests.interop.make_openai_fixture import CLASSES, SIDE, inputs, some, weights
from tests.slow import slow_but

HERE = pathlib.Path(__file__).parent
OUTPUTS = dict(np.load(HERE / "openai.npz"))
NAMES = {
    network: {name: tuple(shape) for name, shape in shapes.items()}
    for network, shapes in json.loads(
        gzip.decompress((HERE / "openai_names.json.gz").read_bytes())
    ).items()
}
# Those that the plain suite runs: one of each structure.
FEW = ("adm64", "mean", "upsampler", "classifier", "iddpm_add", "ddpm")
FEW_PUBLISHED = ("guided/512", "guided/512_classifier", "improved/lsun", "ddpm/256")
PUBLISHED = [name for name in NAMES if not name.startswith("narrow/")]


def given(**fields):
    """The fields of a config for narrow networks."""
    data = {"data.size": SIDE, "model.head_channels": 16, "model.num_heads": 0}
    return {**schema.flat(schema.get_config()), **data, **fields}


def heads(number):
    return {"model.head_channels": 0, "model.num_heads": number}


# What the config has beside the file: heads, and for one network the depth.
GIVEN = {
    "mean": heads(2),
    "separate": {},
    "upsampler": {**heads(4), "diffusion.low_size": 8},
    "iddpm": heads(4),
    "iddpm_add": heads(1),
    "iddpm_upsampler": {**heads(4), "diffusion.low_size": 8},
    "ddpm": heads(1),
    "classifier": {"model.num_blocks": 1},
}


@pytest.fixture
def write(tmp_path):
    def of(name, change=None):
        path = tmp_path / f"{name}.safetensors"
        shapes = NAMES[f"narrow/{name}"]
        arrays = {k: weights(k, shape) for k, shape in shapes.items()} | (change or {})
        tensors.write(path, {k: a for k, a in arrays.items() if a is not None})
        return path

    return of


def format_of(name):
    return "ddpm" if name.startswith("ddpm") else "openai"


def build(foreign, fields):
    """Our network with the fields of a Foreign, as build.py makes it."""
    block = {**fields, **foreign.fields}
    derived = {"num_classes": foreign.classes, "shape": foreign.shape}
    if block.get("diffusion.learned_variance"):
        derived["learned_variance"] = True
    if block["diffusion.low_size"]:
        derived["extra_channels"] = foreign.shape[-1]
    model = {k.removeprefix("model."): v for k, v in block.items() if "model." in k}
    return from_block(models, model, **derived)


def arguments(foreign, fields):
    """The inputs of our network, of which the low image is beside x."""
    x, low, t, labels, _ = inputs()
    if fields["diffusion.low_size"]:
        both = beside(
            jax.random.split(jax.random.key(0), len(x)),
            jax.numpy.asarray(low),
            None,
            shape=foreign.shape,
            schedule=cosine(),
            noise=normal(),
            amount=None,
        )
        x = np.concatenate([x, both.image], axis=-1)
    return x, t, labels if foreign.classes else None


@pytest.mark.parametrize("name", slow_but(FEW, theirs.NETWORKS))
def test_the_output_is_that_of_their_code(name, write):
    path, fields = write(name), given(**GIVEN.get(name, {}))
    order = {"order": "new"} if "new" in str(theirs.NETWORKS[name][2]) else {}
    foreign = pick(interop, format_of(name))(path, fields, **order)
    network, args = build(foreign, fields), arguments(foreign, fields)
    like = jax.eval_shape(network.init, jax.random.key(0), *args)["params"]
    table, arrays = foreign.table(like), foreign.tensors()
    params = mapping.read(table, arrays, like)
    out = jax.jit(network.apply)({"params": params}, *args)
    out = out if "classifier" in name else some(out)
    expected = OUTPUTS[name]
    assert out.shape == expected.shape and out.dtype == np.float32
    error = np.abs(out - expected).max() / expected.std()
    print(f"{name}: {error:.1e} of the output's deviation")
    assert error < 1e-5
    back = mapping.write(table, params)
    assert back.keys() == arrays.keys()
    chex.assert_trees_all_equal(back, dict(arrays))


def shapes_of(name, monkeypatch):
    """The Foreign of a published network, of which there are names and shapes alone."""
    monkeypatch.setattr(tensors, "shapes", lambda path, cure="": NAMES[name])
    return pick(interop, format_of(name))(pathlib.Path(name), None)


@pytest.mark.parametrize("name", slow_but(FEW_PUBLISHED, PUBLISHED))
def test_every_name_of_the_published_networks_maps(name, monkeypatch):
    """By shapes alone: nothing is allocated. The flags give sides and classes."""
    foreign = shapes_of(name, monkeypatch)
    project, _, short = name.partition("/")
    flags = theirs.PUBLISHED[project][short]
    names = ("image_size", "large_size", "resolution")
    side = next(flags[k] for k in names if k in flags)
    labelled = flags.get("class_cond") or "classifier" in name
    assert foreign.shape == (side, side, 3)
    assert foreign.classes == (1000 if labelled else 0)
    fields = {**schema.flat(schema.get_config()), **foreign.assumed, **foreign.fields}
    assert fields["diffusion.low_size"] == flags.get("small_size", 0)
    network = build(foreign, fields)
    extra = foreign.shape[-1] * ("small_size" in flags)
    x = jax.ShapeDtypeStruct((1, side, side, 3 + extra), np.float32)
    t = jax.ShapeDtypeStruct((1,), np.float32)
    cond = jax.ShapeDtypeStruct((1,), np.int32) if foreign.classes else None
    like = jax.eval_shape(network.init, jax.random.key(0), x, t, cond)["params"]
    mapping.check(foreign.table(like), NAMES[name], like)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"out.2.weight": None}, r"'out\.2\.weight' is missing"),
        ({"input_blocks.2.0.in_layers.2.weight": None}, "form no levels"),
        ({"input_blocks.0.0.weight": np.zeros((32, 5, 3, 3))}, "5 inputs, 6 outputs"),
    ],
)
def test_other_networks_are_refused(write, change, words):
    path = write("adm64", change)
    with pytest.raises(ValueError, match=words) as error:
        pick(interop, "openai")(path, given())
    assert str(path) in str(error.value)


def test_what_a_file_cannot_state_is_needed(write):
    path, make = write("adm64"), pick(interop, "openai")
    with pytest.raises(ValueError, match=r"none of the published .* give a --config"):
        make(path, None)
    with pytest.raises(ValueError, match=r"config\.data\.size=SIDE"):
        make(path, given(**{"data.size": 0}))
    with pytest.raises(ValueError, match="no upsampler, and the config has"):
        make(path, given(**{"diffusion.low_size": 8}))
    with pytest.raises(ValueError, match=r"order must be one of .*got order='3hd'"):
        make(path, given(), order="3hd")
    path = write("classifier")
    with pytest.raises(ValueError, match="for images of 16x16, and the config has 32"):
        make(path, given(**{"data.size": 32, "model.num_blocks": 1}))
    assert make(path, given(**{"model.num_blocks": 1})).classes == CLASSES
