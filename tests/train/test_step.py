"""The training step: gradients by hand, and splits that change nothing (laws 4, 7)."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdiff import rng
from jaxdiff.rng import batch_keys
from jaxdiff.train import ema, parallel
from jaxdiff.train.state import init_state, num_params
from jaxdiff.train.step import make_train_step

B, D, K = 8, 3, 3


def loss(params, keys, batch, context=None):
    """Regression on noise: (x w - y - u)^2, u and the stratum from the keys."""
    u = rng.draw(jax.random.normal, keys.key, ())
    error = (batch["x"] * params["w"][None]).sum(-1) - batch["y"] - u - keys.stratum
    return jnp.square(error), {"u": u, "stratum": keys.stratum}


def batch(k=K):
    gen = np.random.default_rng(0)
    x, y = gen.normal(size=(k, B, D)), gen.normal(size=(k, B))
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def start(tx):
    return init_state({"w": jnp.array([0.5, -1.0, 2.0])}, tx)


def one_device(state, data, tx, decay=None, accumulate=1):
    step = make_train_step(
        loss, tx, decay or ema.constant(0.5), axis=None, accumulate=accumulate
    )
    after, metrics = jax.jit(step)(state, data, jax.random.key(7))
    chex.assert_tree_all_finite((after, metrics))
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    return after, metrics


def close(a, b):
    chex.assert_trees_all_close(a, b, rtol=2e-6, atol=1e-6)


def test_one_step_by_hand():
    """grad = mean 2 error x in numpy; draws of example i from (seed, step, i)."""
    tx, data = optax.sgd(0.25), batch(1)
    state, metrics = one_device(start(tx), data, tx)
    key = jax.random.fold_in(jax.random.key(7), 0)
    u = np.array([jax.random.normal(jax.random.fold_in(key, i)) for i in range(B)])
    strata = np.asarray(batch_keys(key, jnp.arange(B), B).stratum)
    w = np.array([0.5, -1.0, 2.0])
    error = data["x"][0] @ w - data["y"][0] - u - strata
    grad = (2 * error[:, None] * data["x"][0]).mean(0)
    chex.assert_trees_all_close(state.params["w"], w - 0.25 * grad, rtol=1e-5)
    chex.assert_trees_all_close(state.ema["w"], w - 0.125 * grad, rtol=1e-5)
    assert int(state.step) == 1
    chex.assert_trees_all_close(
        metrics["loss"], np.asarray([(error**2).mean()]), rtol=1e-5
    )
    chex.assert_trees_all_close(
        metrics["grad_norm"], np.asarray([np.sqrt((grad**2).sum())]), rtol=1e-5
    )
    chex.assert_trees_all_close(
        metrics["u"], np.asarray([u.mean()]), rtol=1e-5, atol=1e-6
    )


def test_on_a_gpu_gradients_are_put_in_order_and_nothing_else_changes(monkeypatch):
    tx, data = optax.adam(0.25), batch()
    expected = one_device(start(tx), data, tx)

    def barriers():
        step = make_train_step(loss, tx, ema.constant(0.5), axis=None)
        text = str(jax.make_jaxpr(step)(start(tx), data, jax.random.key(7)))
        return text.count("optimization_barrier")

    before = barriers()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert barriers() == before + 1
    close(one_device(start(tx), data, tx), expected)


def test_a_step_draws_anew():
    tx = optax.sgd(0.0)
    _, metrics = one_device(start(tx), batch(), tx)
    assert len(set(np.asarray(metrics["u"]).tolist())) == K


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_accumulation_is_the_whole_batch(accumulate):
    tx = optax.adam(0.1)
    whole = one_device(start(tx), batch(), tx)
    parts = one_device(start(tx), batch(), tx, accumulate=accumulate)
    close(whole, parts)


def test_k_steps_a_call_are_k_calls():
    tx, data = optax.adam(0.1), batch()
    decay = ema.warmup(decay=0.9)
    together, metrics = one_device(start(tx), data, tx, decay)
    state, losses = start(tx), []
    for i in range(K):
        one = {k: v[i : i + 1] for k, v in data.items()}
        state, m = one_device(state, one, tx, decay)
        losses.append(m["loss"][0])
    close(together, state)
    chex.assert_trees_all_close(metrics["loss"], np.array(losses), rtol=2e-6)
    assert int(together.step) == K


@pytest.mark.parametrize("n", [1, 2, 4])
def test_devices_reach_the_same_parameters(n):
    """Law 4: the draws of an example do not depend on the device that holds it."""
    tx, data = optax.adam(0.1), batch()
    alone = one_device(start(tx), data, tx)
    devices = jax.devices()[:n]
    step = parallel.PmapStep(
        make_train_step(loss, tx, ema.constant(0.5), axis=parallel.AXIS), devices
    )
    state = parallel.replicate(start(tx), devices)
    got = step(state, parallel.shard(data, n, axis=1), jax.random.key(7))
    close(alone, got)


def test_a_pmapped_step_is_the_mean_of_the_shards_gradients():
    """Law 7, by hand: plain jax.grad of each shard's mean loss, then their mean."""
    n, tx, data = 4, optax.sgd(1.0), batch(1)
    devices, b = jax.devices()[:n], B // n
    key = jax.random.fold_in(jax.random.key(7), 0)
    params = start(tx).params
    grads = []
    for d in range(n):
        mine = {k: v[0, d * b : (d + 1) * b] for k, v in data.items()}
        keys = batch_keys(key, jnp.arange(d * b, (d + 1) * b), B)
        mean = lambda p, keys=keys, mine=mine: loss(p, keys, mine)[0].mean()  # noqa: E731
        grads.append(np.asarray(jax.grad(mean)(params)["w"]))
    by_hand = np.asarray(params["w"]) - np.mean(grads, axis=0)
    step = parallel.PmapStep(
        make_train_step(loss, tx, ema.constant(0.5), axis=parallel.AXIS), devices
    )
    state, metrics = step(
        parallel.replicate(start(tx), devices),
        parallel.shard(data, n, axis=1),
        jax.random.key(7),
    )
    chex.assert_trees_all_close(state.params["w"], by_hand, rtol=1e-5)
    norm = np.linalg.norm(np.mean(grads, axis=0))
    chex.assert_trees_all_close(metrics["grad_norm"], np.asarray([norm]), rtol=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_device_comes_to_the_same_state(accumulate):
    """pmap gives back the first device's state alone; chex's vmap in its place, all."""
    n, tx, data = 4, optax.adam(0.1), parallel.shard(batch(), 4, axis=1)
    step = make_train_step(
        loss, tx, ema.constant(0.5), axis=parallel.AXIS, accumulate=accumulate
    )
    devices, key = jax.devices()[:n], jax.random.key(7)
    state = parallel.replicate(start(tx), devices)
    real = parallel.PmapStep(step, devices)(state, data, key)
    with chex.fake_pmap(jit_result=True):
        faked = parallel.PmapStep(step, devices)(start(tx), data, key)
    chex.assert_tree_shape_prefix(faked, (n,))
    for device in range(n):
        close(jax.tree.map(lambda leaf, device=device: leaf[device], faked), real)


def test_ema_is_a_copy_so_donation_is_safe():
    tx = optax.sgd(0.1)
    state = start(tx)
    assert (
        state.ema["w"].unsafe_buffer_pointer()
        != state.params["w"].unsafe_buffer_pointer()
    )
    chex.assert_trees_all_equal(state.ema["w"], state.params["w"])
    step = jax.jit(
        make_train_step(loss, tx, ema.constant(0.5), axis=None), donate_argnums=0
    )
    after, _ = step(state, batch(1), jax.random.key(7))
    chex.assert_tree_all_finite(after)


def test_num_params_counts_numbers():
    shapes = jax.eval_shape(lambda: {"a": jnp.ones((3, 4)), "b": [jnp.ones(5)]})
    assert num_params(shapes) == 17


def test_shard_and_unshard_by_hand():
    a = np.arange(12).reshape(2, 6)
    chex.assert_trees_all_equal(
        parallel.shard({"a": a}, 3, axis=1)["a"],
        np.asarray([[[0, 1], [6, 7]], [[2, 3], [8, 9]], [[4, 5], [10, 11]]]),
    )
    b = np.arange(6)
    chex.assert_trees_all_equal(
        parallel.shard(b, 2), np.asarray([[0, 1, 2], [3, 4, 5]])
    )
    chex.assert_trees_all_equal(parallel.unshard(parallel.shard(b, 2)), b)


def test_a_batch_that_does_not_divide_names_the_nearest():
    parallel.check_divides(12, 3, 4)
    with pytest.raises(ValueError, match=r"batch_size=30 .* 4 x 2; .* is: 32"):
        parallel.check_divides(30, 2, 4)


# --- the context of a loss ---


def taught(params, keys, batch, context):
    """Distances to the average and to a teacher, so that both gradients are known."""
    del keys
    to_ema = (params["w"] - context.ema["w"]) ** 2
    to_teacher = (params["w"] - context.frozen["teacher"]) ** 2
    losses = batch["x"].sum(-1) * 0 + (to_ema + to_teacher).sum()
    step = jnp.full(losses.shape, context.step, jnp.float32)
    return losses, {"step": step, "to_ema": losses * 0 + to_ema.sum()}


TEACHER = np.array([1.0, 0.0, -1.0], np.float32)


def by_hand(k, rate=0.1, decay=0.5):
    """w, its average and the distances between them after k steps of `taught`."""
    w = average = np.array([0.5, -1.0, 2.0])
    apart = []
    for _ in range(k):
        apart.append(((w - average) ** 2).sum())
        w = w - rate * 2 * ((w - average) + (w - TEACHER))
        average = decay * average + (1 - decay) * w
    return w, average, apart


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("several", [False, True])
def test_a_loss_is_given_step_average_and_frozen_arrays(accumulate, several):
    """The average is the run's own, also where it is one of several."""
    tx, half = optax.sgd(0.1), ema.constant(0.5)
    decay = (half, ema.constant(0.9)) if several else half
    state = init_state({"w": jnp.array([0.5, -1.0, 2.0])}, tx, powers=int(several))
    step = make_train_step(taught, tx, decay, axis=None, accumulate=accumulate)
    frozen = {"teacher": jnp.asarray(TEACHER)}
    state, metrics = jax.jit(step)(state, batch(), jax.random.key(7), frozen)
    w, average, apart = by_hand(K)
    chex.assert_trees_all_close(state.params["w"], w, rtol=1e-5)
    chex.assert_trees_all_close(ema.primary(state.ema)["w"], average, rtol=1e-5)
    chex.assert_trees_all_close(metrics["step"], np.arange(K, dtype=np.float32))
    chex.assert_trees_all_close(metrics["to_ema"], np.array(apart), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 4])
def test_frozen_arrays_are_on_every_device_and_are_not_donated(n):
    tx, devices, data = optax.sgd(0.1), jax.devices()[:n], batch(1)
    frozen = {"teacher": jnp.asarray(TEACHER)}
    step = parallel.PmapStep(
        make_train_step(taught, tx, ema.constant(0.5), axis=parallel.AXIS),
        devices,
        frozen,
    )
    state = parallel.replicate(start(tx), devices)
    given = state
    for _ in range(K):
        parts = parallel.shard(data, n, axis=1)
        state, _ = step(state, parts, jax.random.key(7))
    w, average, _ = by_hand(K)
    chex.assert_trees_all_close(state.params["w"], w, rtol=1e-5)
    chex.assert_trees_all_close(state.ema["w"], average, rtol=1e-5)
    assert given.params["w"].is_deleted() and not frozen["teacher"].is_deleted()
    chex.assert_trees_all_equal(frozen["teacher"], TEACHER)


def test_frozen_arrays_are_arguments_and_not_constants_of_the_program(traced_once):
    tx = optax.sgd(0.1)
    step = traced_once(make_train_step(taught, tx, ema.constant(0.5), axis=None))
    ends = []
    for teacher in (TEACHER, 2 * TEACHER):
        frozen = {"teacher": jnp.asarray(teacher)}
        state, _ = step(start(tx), batch(1), jax.random.key(7), frozen)
        ends.append(state.params["w"])
    # one step: w - .2 (w - teacher)
    chex.assert_trees_all_close(ends[1] - ends[0], 0.2 * TEACHER, rtol=1e-5)
