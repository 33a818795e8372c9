"""Conditions of other kinds than a label, through everything that a run does.

A vector, a sequence with its mask, and two conditions by name: nothing but the data and
the network of this file looks into them.
"""

import sys
from types import ModuleType
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff import build
from jaxdiff.data.source import Source
from jaxdiff.diffusion import inputs, noises, predictions, schedules
from jaxdiff.diffusion.losses import Objective, mse
from jaxdiff.rng import batch_keys
from jaxdiff.runs.train import loop, setup
from jaxdiff.tasks import diffusion
from jaxdiff.train import parallel
from jaxdiff.train.ema import primary
from jaxdiff.train.step import Context, make_train_step
from tests.runs.conftest import assert_same, at, read_state, tiny_config
from tests.slow import slow_but

NUM, STEPS = 40, 6


class Case(NamedTuple):
    """load: i64[b] -> the conditions of these examples.  null: as a Source has it."""

    load: object
    null: object


def vector(index):
    angle = 2 * np.pi * index[:, None] / NUM
    return np.concatenate([np.sin(angle), np.cos(angle)], 1).astype(np.float32)


def sequence(index):
    """Example i has 1 + i mod 3 tokens; what stands behind them must not matter."""
    place = np.arange(3)
    tokens = np.stack([vector(index + i) for i in place], 1)
    return {"tokens": tokens, "mask": place[None] <= index[:, None] % 3}


def named(index):
    return {"label": (index % 4).astype(np.int32), "vector": vector(index)}


KINDS = {
    "vector": Case(vector, np.zeros(2, np.float32)),
    "sequence": Case(sequence, {"tokens": 0.0, "mask": False}),
    "two by name": Case(named, {"label": 4, "vector": np.array([0.0, 0.0])}),
}


class Embedding(nn.Module):
    """out = W swish(W x + W fourier(t) + e), with e a vector of any of the KINDS."""

    @nn.compact
    def __call__(self, x, t, cond=None, *, train=False):
        del train
        if isinstance(cond, dict) and "mask" in cond:
            mask = cond["mask"][..., None]
            tokens = nn.Dense(8, name="tokens")(cond["tokens"])
            e = (tokens * mask).sum(1) / jnp.maximum(mask.sum(1), 1)
        elif isinstance(cond, dict):
            e = nn.Embed(5, 8, name="label")(cond["label"])
            e = e + nn.Dense(8, name="vector")(cond["vector"])
        else:
            e = nn.Dense(8, name="vector")(cond)
        h = nn.Dense(8, name="in")(x) + nn.Dense(8, name="time")(t[:, None]) + e
        return nn.Dense(x.shape[-1], name="out")(nn.silu(h))


def make(*, shape, example_cond):
    del shape, example_cond
    return Embedding()


# Chosen by name like jaxdiff's own, among which it is not listed.
HOME = ModuleType("jaxdiff.models.embedding")
HOME.__dict__.update(make=make, __spec__=sys.modules[__name__].__spec__)
sys.modules["jaxdiff.models.embedding"] = HOME


def decode(x):
    return dict(zip("abc", x.T, strict=True))


def source_of(kind):
    def load(index):
        x = np.random.default_rng(0).normal(size=(NUM, 3))[index]
        return {"x": x.astype(np.float32), "cond": KINDS[kind].load(index)}

    return Source(load, NUM, (3,), decode, null=KINDS[kind].null)


def config_of(**fields):
    fields = {"num_steps": STEPS, "diffusion__label_dropout": 0.3, **fields}
    return tiny_config(**fields, model__name="embedding")


@pytest.fixture(scope="module", params=slow_but(("two by name",), KINDS))
def trained(request, tmp_path_factory):
    """Six steps of a run of one kind: (kind, workdir, run, final state)."""
    folder = tmp_path_factory.mktemp("conditions") / "run"
    run = at(setup.prepare(config_of(), folder, source_of(request.param)), folder)
    return request.param, folder, run, loop.run(run)


def test_a_batch_holds_the_conditions_of_its_examples(trained):
    kind, _, run, _ = trained
    (batch,) = list(setup.feed_from(run, STEPS - 1))
    everything = run.experiment.source[np.arange(NUM)]["x"]
    index = np.array([np.argmin(abs(everything - x).sum(1)) for x in batch["x"][0]])
    expected = jax.tree.map(lambda a: a[None], KINDS[kind].load(index))
    chex.assert_trees_all_equal(batch["cond"], expected)


def test_a_run_resumes_bit_for_bit(trained, tmp_path):
    """Four steps, then everything is made anew and goes to the same end."""
    kind, folder, run, state = trained
    other = tmp_path / "run"
    loop.run(at(run, other, num_steps=4))
    stored = read_state(other, run)
    assert stored is not None and int(stored.step) == 4
    again = setup.prepare(config_of(), other, source_of(kind))
    assert_same(loop.run(at(again, other)), state)
    assert_same(read_state(other, run), read_state(folder, run))


@pytest.mark.parametrize("n", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_devices_share_a_batch_of_trees(trained, n):
    """Law 4: as many devices as there are, or fewer, reach the same parameters."""
    _, _, run, state = trained
    config, devices = run.experiment.config, jax.devices()[:n]
    tx, _ = build.make_optimizer(config)
    step = parallel.PmapStep(
        make_train_step(
            run.experiment.task.loss, tx, build.make_ema(config), axis=parallel.AXIS
        ),
        devices,
    )
    fewer = parallel.replicate(run.init(), devices)
    for batch in setup.feed_from(run, 0):
        fewer, _ = step(fewer, parallel.shard(batch, n, axis=1), jax.random.key(0))
    chex.assert_trees_all_close(fewer.params, state.params, rtol=1e-3, atol=2e-5)


class Which(nn.Module):
    """Its output is 2 for the null condition, 1 for a condition of the data, and NaN
    for one that is partly the one and partly the other."""

    kind: str

    @nn.compact
    def __call__(self, x, t, cond=None, *, train=False):
        self.param("unused", nn.initializers.zeros, ())

        def same(n, c):
            equal = c == jnp.broadcast_to(jnp.asarray(n, c.dtype), c.shape)
            return equal.reshape(len(c), -1).all(1)

        parts = jnp.stack(
            jax.tree.leaves(jax.tree.map(same, KINDS[self.kind].null, cond))
        )
        whole = jnp.where(parts.all(0), 2.0, jnp.where(parts.any(0), jnp.nan, 1.0))
        return jnp.zeros_like(x) + whole[:, None]


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_share_of_conditions_is_dropped_each_as_a_whole(kind):
    b, share, schedule = 4000, 0.3, schedules.linear_mix()
    objective = Objective(
        schedule=schedule,
        prediction=predictions.x0(),
        times=jax.tree_util.Partial(lambda u: jnp.full_like(u, 0.5)),
        weight=None,
        distance=mse(),
        noise=noises.normal(),
    )
    task = diffusion.make(
        Which(kind),
        objective,
        shape=(3,),
        example_cond=KINDS[kind].load(np.arange(1)),
        null=KINDS[kind].null,
        cond_dropout=share,
        time_feature=inputs.time(),
        sigma_data=0.0,
    )
    cond = jax.tree.map(jnp.asarray, KINDS[kind].load(np.arange(b)))
    batch, keys = {"x": jnp.zeros((b, 3)), "cond": cond}, jax.random.key(0)
    params = task.init(jax.random.key(0))
    context = Context(jnp.zeros((), jnp.int32), params, None)
    keys = batch_keys(keys, jnp.arange(b), b)
    losses, _ = jax.jit(task.loss)(params, keys, batch, context)
    # of x0 = 0 the loss is the square of the output
    assert set(np.asarray(losses).tolist()) == {1.0, 4.0}
    dropped = np.mean(np.asarray(losses) == 4.0)
    assert abs(dropped - share) < 5 * np.sqrt(share * (1 - share) / b)


def test_guidance_without_a_classifier_by_hand(trained):
    kind, _, run, state = trained
    model = run.experiment.task.model(primary(state.ema))
    denoise = run.experiment.with_sampler(guidance=2.5).sampler().wrap(model)
    x_t, t = jax.random.normal(jax.random.key(1), (5, 3)), jnp.asarray(0.5)
    cond = jax.tree.map(jnp.asarray, KINDS[kind].load(np.arange(5)))
    null = jax.tree.map(
        lambda n, c: jnp.stack([jnp.full(c.shape[1:], n, c.dtype)] * 5),
        KINDS[kind].null,
        cond,
    )
    given, none = model(x_t, t, cond).x0, model(x_t, t, null).x0
    assert abs(given - none).max() > 1e-3
    guided = jax.jit(lambda d, *args: d(*args).x0)(denoise, x_t, t, cond)
    expected = none + 2.5 * (given - none)
    chex.assert_trees_all_close(guided, expected, atol=1e-6 * abs(expected).max())


def test_an_image_depends_on_its_seed_and_its_condition_alone(trained):
    """Drawn with others over four devices in two batches, or by itself."""
    kind, _, run, state = trained
    sampler = run.experiment.with_sampler(guidance=2.5).sampler()
    params = primary(state.ema)
    index = np.arange(10)

    def draw(index, rows):
        return sampler.draw(params, 3, index, KINDS[kind].load(rows))

    whole = draw(index, index)
    assert np.isfinite(whole).all() and whole.shape == (10, 3)
    # float32 rounds by the size of what is added up, here in the hundreds
    some, near = np.array([7, 2]), 1e-6 * abs(whole).max()
    chex.assert_trees_all_close(draw(some, some), whole[some], atol=near)
    # another condition of image 4 changes image 4
    rows = np.where(index == 4, 33, index)
    moved = abs(draw(index, rows) - whole).max(1)
    assert moved[4] > 10 * near and np.delete(moved, 4).max() < near


def test_samples_are_requested_with_the_conditions_of_the_data(trained, tmp_path):
    """More than there are examples begin anew; the preview draws with them, too."""
    kind, folder, run, state = trained
    index = np.arange(NUM + 3) % NUM
    got = run.experiment.conditions(NUM + 3)
    chex.assert_trees_all_equal(got, KINDS[kind].load(index))
    assert run.experiment.labels_of(got) is None
    again = setup.prepare(config_of(), folder, source_of(kind))
    again.preview(primary(state.ema), tmp_path / "preview.png")
    assert (tmp_path / "preview.png").stat().st_size > 100


def test_a_network_of_labels_and_data_without_a_null_are_refused(tmp_path):
    source = source_of("vector")
    with pytest.raises(ValueError, match="'mlp' takes no condition but class labels"):
        setup.prepare(tiny_config(), tmp_path / "run", source)
    bare = Source(source.load, NUM, (3,), decode)
    with pytest.raises(ValueError, match="needs a null"):
        setup.prepare(config_of(), tmp_path / "run", bare)
    config = tiny_config(diffusion__condition="none")
    run = setup.prepare(config, tmp_path / "run", source)
    assert run.experiment.task.example_cond is None and run.experiment.task.null is None
