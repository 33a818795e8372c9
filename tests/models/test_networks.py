"""Every network in the folder: what a task counts on, whatever it is made of."""

import functools
import inspect

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdiff.models
import jaxdiff.tasks
from jaxdiff import choices, fields, schema
from jaxdiff.models.embeddings import embedding_of
from jaxdiff.models.norms import Norm
from jaxdiff.models.resampling import Downsample

NETWORKS = choices.members(jaxdiff.models)
# Networks called as a task are for that one alone, and are called in its own way.
SHARED = [name for name in NETWORKS if name not in choices.members(jaxdiff.tasks)]
# What build.py gives beside fields of config.model.
GIVEN = {
    *("shape", "num_classes", "null_class", "example_cond"),
    *("learned_variance", "extra_channels", "variational"),
}
SHAPES, CLASSES = ((8, 8, 2), (6,)), 3
SMALL = {"channels": 16, "multipliers": (1,), "num_blocks": 1, "hidden": 8}


def takes(name):
    return inspect.signature(NETWORKS[name]).parameters


def build(name, **given):
    """A small one of images or, if it is for rows, of rows; and its shape."""
    refused = []
    for shape in SHAPES:
        block = {**schema.FIELDS["model"], **SMALL, "name": name}
        try:
            made = choices.from_block(jaxdiff.models, block, shape=shape, **given)
        except ValueError as error:
            refused.append(str(error))
            continue
        return made, shape
    raise AssertionError(f"{name} takes neither of {SHAPES}: {refused}")


def drawn(shapes):
    """Parameters of about the scale of the initialisers, where these are zero too."""
    rng = np.random.default_rng(0)

    def one(leaf):
        scale = np.sqrt(np.prod(leaf.shape[:-1])) if leaf.ndim > 1 else 4.0
        return (rng.standard_normal(leaf.shape) / scale).astype(leaf.dtype)

    return jax.tree.map(one, shapes)


@pytest.fixture(scope="module", params=SHARED)
def outputs(request):
    """The name of a network, and its output for a batch and for others like it.

    "other t": the first example at another time.  "other label": the first example with
    another label, if there are any.  "other x": the last example is another one.
    """
    name = request.param
    labelled = "null_class" in takes(name)
    given = {"num_classes": CLASSES, "null_class": True} if labelled else {}
    network, shape = build(name, **given)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    t, cond = np.full(3, 0.3, np.float32), np.array([0, 1, 2]) if labelled else None
    shapes = jax.eval_shape(network.init, jax.random.key(0), x, t, cond)
    params = drawn(shapes)
    apply = jax.jit(network.apply)

    def out(x=x, t=t, cond=cond):
        return np.asarray(apply(params, x, t, cond))

    results = {
        "batch": out(),
        "other t": out(t=np.array([0.9, 0.3, 0.3], np.float32)),
        "other x": out(np.concatenate([x[:2], x[:1]])),
    }
    if labelled:
        results["other label"] = out(cond=np.array([2, 1, 2]))
        results["null"] = out(cond=np.array([CLASSES, 1, 2]))
    return name, results


@pytest.mark.parametrize("name", SHARED)
def test_a_network_that_takes_the_time_exposes_its_embedding(name):
    """Row by row of its own time and label, and not of x."""
    labelled = "null_class" in takes(name)
    given = {"num_classes": CLASSES, "null_class": True} if labelled else {}
    network, shape = build(name, **given)
    x, t = jnp.ones((4, *shape)), jnp.array([0.3, 0.9, 0.3, 0.3])
    cond = jnp.array([0, 0, 1, CLASSES]) if labelled else None
    params = drawn(jax.eval_shape(network.init, jax.random.key(0), x, t, cond))
    read = jax.jit(functools.partial(embedding_of, network, params["params"]))
    emb = read(x, t, cond)
    if name in fields.BLIND:
        assert emb is None
        return
    assert emb is not None and emb.ndim == 2 and emb.dtype == jnp.float32
    chex.assert_trees_all_equal(emb, read(0 * x, t, cond))
    apart = abs(emb[1:] - emb[:1]).max(1)
    assert apart[0] > 1e-3 and ((apart[1:] > 1e-3) == labelled).all()
    if labelled:
        chex.assert_trees_all_equal(emb[3:], read(x, t, None)[3:])


def test_the_output_is_of_the_shape_of_the_input(outputs):
    _, results = outputs
    assert results["batch"].shape[1:] in SHAPES
    assert results["batch"].dtype == np.float32
    assert np.isfinite(results["batch"]).all() and results["batch"].std() > 1e-3


def test_an_example_does_not_see_the_others(outputs):
    _, results = outputs
    for name in results.keys() - {"batch", "other x"}:
        chex.assert_trees_all_close(
            results[name][1:], results["batch"][1:], atol=1e-5, rtol=1e-7
        )
    chex.assert_trees_all_close(
        results["other x"][:2], results["batch"][:2], atol=1e-5, rtol=1e-7
    )
    assert abs(results["other x"][2] - results["batch"][2]).max() > 1e-3


def test_time_and_label_count(outputs):
    name, results = outputs
    for other in results.keys() - {"batch", "other x"}:
        moved = abs(results[other][0] - results["batch"][0]).max()
        if other == "other t" and name in fields.BLIND:
            assert moved == 0
            continue
        cure = "; name it in BLIND of jaxdiff/fields.py" if other == "other t" else ""
        assert moved > 1e-3, f"{name} ignores {other}{cure}"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_argument_can_be_set_by_a_config(name):
    bare = {*takes(name)} - GIVEN - {*schema.FIELDS["model"]}
    assert not bare, (
        f"model {name!r} takes {bare}: give each a field in `model` of "
        "jaxdiff/schema.py"
    )


@pytest.mark.parametrize("name", SHARED)
def test_the_channels_that_a_task_needs_are_there(name):
    """Twice as many with a learned variance; more of x for an image beside it."""
    for argument, value, more_in, times in (
        ("learned_variance", True, 0, 2),
        ("extra_channels", 1, 1, 1),
    ):
        if argument not in takes(name):
            continue
        network, (*size, c) = build(name, **{argument: value})
        x = jnp.zeros((2, *size, c + more_in))
        args = (jax.random.key(0), x, jnp.zeros(2))
        out, _ = jax.eval_shape(network.init_with_output, *args)
        assert out.shape == (2, *size, c * times), argument


@pytest.mark.parametrize("name", [n for n in NETWORKS if "norm_eps" in takes(n)])
def test_every_part_has_the_norm_and_the_padding_of_the_fields(name):
    ends = {"classifier": {"num_classes": 3}, "autoencoder": {"variational": False}}
    fields = {"channels": 16, "multipliers": (1, 2), "num_blocks": 1}
    fields |= {"norm_groups": 8, "norm_eps": 1e-3, **ends.get(name, {})}
    if "downsample_padding" in takes(name):
        fields["downsample_padding"] = "far"
    if name == "classifier":
        fields["resblock_updown"] = False
    network, seen = NETWORKS[name](shape=(8, 8, 1), **fields), []

    def record(call, args, kwargs, context):
        seen.append(context.module)
        return call(*args, **kwargs)

    x = (jnp.zeros((1, 8, 8, 1)), *[jnp.zeros(1)] * (name != "autoencoder"))
    with nn.intercept_methods(record):
        jax.eval_shape(network.init, jax.random.key(0), *x)
    normed = [part.norm for part in seen if isinstance(getattr(part, "norm", 0), Norm)]
    halved = [part.padding for part in seen if isinstance(part, Downsample)]
    assert len(normed) > 3 and {*normed} == {Norm(8, 1e-3)}
    assert name == "residual_unet" or (halved and {*halved} == {"far"})


@pytest.mark.parametrize("name", [n for n in NETWORKS if "norm_eps" in takes(n)])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("norm_groups", 5, "norm_groups=5 must divide"),
        ("norm_eps", -1.0, "norm_eps=-1"),
        ("middle", "transformer", "one of auto, attention, residual, none, got"),
        ("downsample_padding", "near", "one of all, far, got .*'near'"),
    ],
)
def test_norms_and_paddings_are_refused_when_built(name, field, value, message):
    if field not in takes(name):
        return
    ends = {"classifier": {"num_classes": 3}, "autoencoder": {"variational": False}}
    with pytest.raises(ValueError, match=message):
        NETWORKS[name](shape=(8, 8, 1), **{field: value}, **ends.get(name, {}))
